import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import toys

from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.clean_run import CleanRun
from loop_bench.experiments.survival.observation import Observation
from loop_bench.experiments.survival.updates import StruckUpdates
from loop_bench.experiments.survival.watching import observe
from loop_bench.loop import LoopSpec

NOTHING = StruckUpdates((), (), ())


def slow(*case):
    """A variant of a case beside it."""
    return pytest.param(*case, marks=pytest.mark.slow)


@functools.cache
def watch(make, fault=None, batches=22):
    text = None if fault is None else Fault.parse(fault)
    return observe("toys:it", lambda spec: make(), LoopSpec("tiny"), text, batches)


def updates(make, fault, batches=22):
    return StruckUpdates.of(watch(make, fault, batches), CleanRun(watch(make, None, 22)), Fault.parse(fault))


def paths(names):
    return [name.partition(":")[2] for name in names]


# Loops that train.


@pytest.mark.parametrize(("kind", "batches"), [("nan", 1), ("inf", 3), slow("nan", 3), slow("inf", 1)])
def test_a_guard_leaves_all_as_it_was(kind, batches):
    struck = tuple(range(5, 5 + batches))
    assert updates(toys.Guarded, f"{kind},batches={batches},batch=5") == StruckUpdates(struck, struck, ())


def test_a_gradient_made_zero_is_no_skip():
    assert updates(toys.Zeroing, "nan") == StruckUpdates((10,), (), ())


@pytest.mark.parametrize("target", [slow("all"), "generator"])
def test_a_skip_that_counts_on_is_one_with_what_moved(target):
    """Where nothing at all was trained, the state of the whole optimizer should be as it was, whatever its name."""
    found = updates(toys.Counting, f"nan,target={target}")
    assert found.skipped == (10,)
    assert [name.split("/")[-1] for name in found.moved] == ["iteration"]


def test_an_update_that_is_no_skip_moves_nothing_in_skips():
    assert updates(toys.Counting, "scale=2") == StruckUpdates((10,), (), ())


class Summing(toys.Quadratic):
    """Adds up the gradients of four batches by hand; a sum that is not finite is left out, if it is guarded."""

    def __init__(self, guarded):
        super().__init__()
        self.guarded = guarded
        self.sum = tf.Variable(tf.zeros(4), trainable=False, name="sum")
        self.count = tf.Variable(0, trainable=False, name="count")

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2)
        self.sum.assign_add(tape.gradient(loss, self.weight))
        self.count.assign_add(1)
        if self.count % 4 == 0:
            if not self.guarded or tf.reduce_all(tf.math.is_finite(self.sum)):
                self.optimizer.apply([self.sum / 4.0], [self.weight])
            self.sum.assign(tf.zeros(4))
        return loss

    @property
    def variables(self):
        return [*super().variables, self.sum, self.count]


def guarded_sum():
    return Summing(guarded=True)


def plain_sum():
    return Summing(guarded=False)


@pytest.mark.parametrize("batch", [8, slow(9), 10, 11])
def test_with_accumulated_gradients_one_update_is_skipped_whichever_batch_was_hit(batch):
    found = updates(guarded_sum, f"nan,batch={batch}")
    assert (found.batches, found.skipped) == ((11,), (11,))
    assert paths(found.moved) == ["sum:0", "count:0"]


def test_faults_of_several_batches_are_in_one_update_or_in_two():
    assert updates(guarded_sum, "nan,batch=8,batches=4").skipped == (11,)
    assert updates(guarded_sum, "nan,batch=10,batches=3").skipped == (11, 15)
    assert updates(toys.Gathering, "scale=2,batch=9,batches=4") == StruckUpdates((11, 15), (), ())


def test_with_accumulated_gradients_each_kind_of_variable_goes_bad_in_its_own_batch():
    found = watch(plain_sum, "nan,batch=9")
    assert found.first_bad_of == {"weights": 11, "optimizer state": 11, "other state": 9, "metrics": 12}
    assert found.first_bad == 9
    assert updates(plain_sum, "nan,batch=9") == StruckUpdates((11,), (), ())
    assert watch(guarded_sum, "nan,batch=9").first_bad_of == {"other state": 9}
    gathered = watch(toys.Gathering, "nan,batch=9")  # Keras' own sums are variables of its optimizer
    assert gathered.first_bad_of == {"weights": 11, "optimizer state": 9, "metrics": 12}


@pytest.mark.parametrize("fault", ["nan,batches=3", "inf,batches=3", slow("nan,in=weights,batches=3")])
def test_weights_that_are_not_finite_are_never_skipped_though_they_keep_their_bits(fault):
    """NaN plus anything is the NaN that it was."""
    assert updates(toys.Quadratic, fault) == StruckUpdates((10, 11, 12), (), ())


def test_a_guard_that_comes_too_late_has_skipped_nothing():
    found = updates(toys.Guarded, "nan,in=weights,batches=3")
    assert found == StruckUpdates((10, 11, 12), (), ())


@pytest.mark.parametrize(
    "fault", ["scale=0,in=learning_rate,batch=5,batches=2", "scale=0,batch=5", "scale=1e-30,batch=5"]
)
def test_an_update_that_the_fault_makes_too_small_is_no_skip(fault):
    seen = watch(toys.Descending, fault)
    assert seen.steps["0:generator/weight:0"][5] == 0
    assert not updates(toys.Descending, fault).skipped


def test_an_overflow_in_adam_that_keeps_the_weights_for_a_batch_is_no_skip():
    """Its second moment is infinite, what is divided by it is zero, and in the batch after that nothing is a number."""
    seen = watch(toys.Quadratic, "scale=1e30")
    assert seen.steps["0:generator/weight:0"][10] == 0
    assert seen.first_bad_of == {"weights": 11, "optimizer state": 10, "metrics": 12}
    assert updates(toys.Quadratic, "scale=1e30") == StruckUpdates((10,), (), ())


class Pair(toys.Guarded):
    """A discriminator beside it, trained and guarded in every other batch; its guard counts skips in a row."""

    def __init__(self):
        super().__init__()
        self.other = tf.Variable([1.0, 2.0], name="discriminator/weight")
        self.in_a_row = tf.Variable(0, trainable=False, name="discriminator/skips_in_a_row")
        self.other_optimizer = tf.keras.optimizers.Adam(0.01)
        self.other_optimizer.build([self.other])
        self.other_step = tf.function(self._other_step)

    def _other_step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.other**2)
        (gradient,) = tape.gradient(loss, [self.other])
        if tf.reduce_all(tf.math.is_finite(gradient)):
            self.other_optimizer.apply([gradient], [self.other])
            self.in_a_row.assign(0)
        else:
            self.in_a_row.assign_add(1)

    def run(self, batches):
        for _ in range(batches):
            if len(self.losses) % 2 == 0:
                self.other_step()
            super().run(1)

    @property
    def variables(self):
        return [*super().variables, self.other, self.in_a_row, *self.other_optimizer.variables]


class Updating(Pair):
    """It counts updates as well, left out or not."""

    def __init__(self):
        super().__init__()
        self.updates = tf.Variable(0, trainable=False, name="discriminator/updates")

    def _other_step(self):
        self.updates.assign_add(1)
        self.other_optimizer.iterations.assign_add(1)  # nothing in its name says whose it is
        super()._other_step()

    @property
    def variables(self):
        return [*super().variables, self.updates]


@pytest.mark.parametrize("batch", [slow(6), 7])
def test_a_skip_is_seen_of_a_network_that_is_not_trained_in_every_batch(batch):
    struck = (8 if batch == 7 else 6,)
    assert updates(Pair, f"nan,target=discriminator,batch={batch}") == StruckUpdates(struck, struck, ())


def test_beside_a_network_that_goes_on_only_the_state_of_its_own_name_moves_in_skips():
    found = updates(Updating, "nan,target=discriminator,batch=6")
    assert found.skipped == (6,)
    assert paths(found.moved) == ["discriminator/updates:0"]


def test_the_counters_of_a_guard_are_no_state_that_moves_in_skips():
    fault = Fault("nan", target="discriminator", batch=4, batches=16, probability=0.5, seed=2)
    struck = tuple(batch for batch in range(4, 20, 2) if fault.strength(batch) is not None)
    assert 1 < len(struck) < (struck[-1] - struck[0]) / 2 + 1  # with clean updates between them
    assert updates(Pair, str(fault)) == StruckUpdates(struck, struck, ())


class Half(Pair):
    def _other_step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.other**2)
        self.other_optimizer.apply([tf.zeros(2) * tape.gradient(loss, self.other)], [self.other])


def test_only_the_network_that_is_hit_is_looked_at():
    assert updates(Half, "nan,target=generator,batch=4").skipped == (4,)
    assert updates(Half, "nan,target=discriminator,batch=4") == NOTHING  # it never updates


class Forgetting(toys.Late):
    def _step(self):
        loss = super()._step()
        for each in self.optimizer.variables[2:]:
            each.assign(0.9 * each)
        return loss


def test_state_that_is_made_in_the_first_batch_may_move_in_skips():
    found = updates(Forgetting, "nan")
    assert found.skipped == (10,)
    assert [name.rpartition("_")[2] for name in found.moved] == ["momentum", "velocity"]
    assert updates(toys.Late, "nan").moved == ()


# Constructed runs: a generator that updates in every fourth batch, a discriminator that does in each.

EACH = np.ones(40)
FOURTH = (np.arange(40) % 4 == 3) + 0.0


def run(generator=FOURTH, discriminator=EACH, **more):
    steps = {"0:generator": tuple(generator), "1:discriminator": tuple(discriminator)}
    return Observation(**{"ended": "whole", "steps": steps, **more})


def without(steps, *batches, value=0.0):
    found = np.array(steps)
    found[[*batches]] = value
    return found


def struck(seen, target="generator", clean=None, **fault):
    return StruckUpdates.of(seen, CleanRun(clean or run()), Fault("nan", target=target, **fault))


@pytest.mark.parametrize(("batch", "update"), [(8, 11), (10, 11), (11, 11), (12, 15), (39, 39)])
def test_an_update_is_the_first_from_its_strike_on_in_which_weights_move_without_the_fault(batch, update):
    left_out = run(without(FOURTH, update), struck=(batch,))
    assert struck(left_out) == StruckUpdates((update,), (update,), ())
    assert struck(run(struck=(batch,))) == StruckUpdates((update,), (), ())


def test_after_the_last_update_nothing_is_struck():
    clean = run(without(FOURTH, 39))
    assert struck(run(struck=(36, 37)), clean=clean) == NOTHING
    assert struck(run(struck=(10,)), target="encoder") == NOTHING


@pytest.mark.parametrize("bad", [math.nan, 1.0, math.ulp(0.0)])
def test_only_weights_that_keep_every_bit_are_skipped(bad):
    assert struck(run(without(FOURTH, 11, value=bad), struck=(10,))).skipped == ()
    both = {"0:generator/a": tuple(without(FOURTH, 11)), "1:generator/b": tuple(without(FOURTH, 11, value=bad))}
    assert struck(run(steps=both, struck=(10,)), clean=run(steps=dict.fromkeys(both, tuple(FOURTH)))).skipped == ()


def test_a_weight_that_is_never_finite_has_no_say():
    mask = (math.nan,) * 40
    clean = run(steps={"0:generator": tuple(FOURTH), "1:generator/mask": mask})
    seen = run(steps={"0:generator": tuple(without(FOURTH, 11)), "1:generator/mask": mask}, struck=(10,))
    assert struck(seen, clean=clean) == StruckUpdates((11,), (11,), ())


def test_a_loop_that_never_moves_again_has_skipped_nothing():
    assert struck(run(np.where(np.arange(40) < 11, FOURTH, 0.0), struck=(10,))) == StruckUpdates((11,), (), ())
    again = np.where((np.arange(40) < 11) | (np.arange(40) == 39), FOURTH, 0.0)
    assert struck(run(again, struck=(10,))).skipped == (11,)
    poisoned = np.where(np.arange(40) < 11, FOURTH, math.nan)
    assert struck(run(without(poisoned, 11), struck=(10,))).skipped == ()


@pytest.mark.parametrize(("length", "skipped"), [(12, (11,)), (15, (11,)), (16, ())])
def test_a_skip_counts_if_the_loop_ended_before_its_next_update(length, skipped):
    seen = run(without(FOURTH, 11, 15)[:length], EACH[:length], struck=(10,), ended="crashed")
    assert struck(seen) == StruckUpdates((11,), skipped, ())


def test_a_loop_that_gives_up_after_some_skips_has_made_them():
    given_up = run(without(FOURTH, 11, 15)[:16], EACH[:16], struck=(10, 12), ended="crashed")
    assert struck(given_up, batches=3) == StruckUpdates((11, 15), (11, 15), ())


def test_an_update_that_a_loop_has_died_before_is_not_skipped():
    seen = run(FOURTH[:11], EACH[:11], struck=(10,), ended="crashed")
    assert struck(seen) == StruckUpdates((11,), (), ())
    assert struck(Observation(ended="crashed", struck=(0,))) == StruckUpdates((3,), (), ())  # in its first batch
    assert struck(Observation(ended="timed out")) == NOTHING


def test_of_a_factor_that_grows_only_the_updates_count_in_which_it_is_no_less_than_one():
    seen = run(without(EACH, 5, 6, 7), struck=(5, 6, 7))
    fault = Fault("scale", 0.1, target="generator", batch=5, batches=3, growth=10.0)
    assert StruckUpdates.of(seen, CleanRun(run(EACH)), fault) == StruckUpdates((5, 6, 7), (6, 7), ())
    waited = Fault("scale", -2.0, target="generator", batch=4)
    assert StruckUpdates.of(run(without(EACH, 6), struck=(6,)), CleanRun(run(EACH)), waited).skipped == (6,)
    smaller = Fault("scale", 0.5, target="generator", batch=4)
    assert StruckUpdates.of(run(without(EACH, 6), struck=(6,)), CleanRun(run(EACH)), smaller).skipped == ()


def test_what_moves_in_a_skip_is_state_that_had_moved_before():
    moved = {"2:generator/m": (3, 11), "3:generator/guard": (11,), "4:generator/v": (3, 15), "5:counter": (3, 11)}
    left_out = {"generator": without(FOURTH, 11), "struck": (10,), "moved": moved}
    assert struck(run(**left_out)).moved == ("2:generator/m",)
    nothing_trained = run(**left_out, discriminator=without(EACH, 11))
    assert struck(nothing_trained).moved == ("2:generator/m", "5:counter")
    assert struck(run(struck=(10,), moved=moved)).moved == ()
