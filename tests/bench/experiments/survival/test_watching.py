import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys

from loop_bench.errors import UsageError
from loop_bench.experiments.survival import Fault, watching
from loop_bench.experiments.survival.observation import PATIENCE, Observation
from loop_bench.experiments.survival.watching import observe
from loop_bench.failure import LoopError, out_of_memory
from loop_bench.loop import LoopSpec

SPEC = LoopSpec("tiny")
WEIGHT = "0:generator/weight:0"
MOMENTS = ("3:adam/generator_weight_0_momentum", "4:adam/generator_weight_0_velocity")


def slow(*case):
    """A variant of a case beside it."""
    return pytest.param(*case, marks=pytest.mark.slow)


def watch(make, fault=None, batches=15, spec=SPEC, **more):
    text = None if fault is None else Fault.parse(fault)
    return observe("toys:it", lambda spec: make(), spec, text, batches, **more)


def test_a_clean_run_is_seen_as_it_is():
    loop, weights = toys.Quadratic(), []
    for _ in range(15):
        weights.append(loop.weight.numpy().astype(float))
        loop.run(1)
    weights.append(loop.weight.numpy().astype(float))
    found = watch(toys.Quadratic)
    assert found.ended == "whole"
    assert found.why == ""
    assert found.batches == 15
    assert found.metrics == {"loss": tuple(loop.history()["loss"].astype(float))}
    assert found.steps.keys() == {WEIGHT}
    np.testing.assert_allclose(found.steps[WEIGHT], np.linalg.norm(np.diff(weights, axis=0), axis=1))
    state = ("1:adam/iteration", "2:adam/learning_rate", *MOMENTS)
    moved = {name: tuple(range(15)) for name in (state[0], *MOMENTS)}
    seen = {"metrics": found.metrics, "steps": found.steps, "moved": moved, "optimizer_state": state}
    assert found == Observation(ended="whole", **seen)


def test_what_keeps_its_bits_has_not_moved_and_another_zero_has():
    class Still(toys.Quadratic):
        def __init__(self):
            super().__init__()
            self.count = tf.Variable(0, trainable=False, name="count")
            self.more = [tf.Variable(value, name=f"more{value}") for value in (0.0, 1.0, math.nan)]

        def run(self, batches):
            super().run(batches)
            self.more[0].assign(-self.more[0])
            if len(self.losses) % 2 == 0:
                self.count.assign_add(1)

        @property
        def variables(self):
            return [*super().variables, self.count, *self.more]

    found = watch(Still, batches=4)
    steps = {name.partition("more")[2]: steps for name, steps in found.steps.items() if "more" in name}
    assert steps["0.0:0"] == (math.ulp(0.0),) * 4
    assert steps["1.0:0"] == (0.0,) * 4
    assert np.isnan(steps["nan:0"]).all()
    assert next(looks for name, looks in found.moved.items() if "count" in name) == (1, 3)


@pytest.mark.parametrize("make", [toys.Quadratic, slow(toys.Tapeless)])
@pytest.mark.parametrize("fault", [None, "scale=2,batch=4,in=weights"])
def test_a_fault_that_is_ready_and_does_not_happen_changes_nothing(make, fault):
    assert watch(make, fault, ready=[Fault("nan", batch=4)]) == watch(make, fault)


@pytest.mark.parametrize(
    "ready", [["nan,target=weight", "inf,target=other"], ["inf,target=other", "nan,target=weight"]]
)
def test_only_the_given_fault_of_the_prepared_ones_happens(ready):
    fault = "scale=10,target=weight,batch=4"
    assert watch(toys.Quadratic, fault, ready=map(Fault.parse, ready)) == watch(toys.Quadratic, fault)


@pytest.mark.parametrize("kind", ["nan", slow("inf")])
def test_poison_is_seen_from_its_batch_on(kind):
    found = watch(toys.Quadratic, f"{kind},batch=4")
    assert found.ended == "whole"
    assert found.struck == (4,)
    assert found.first_bad == 4
    assert found.first_bad_of == {"weights": 4, "optimizer state": 4, "metrics": 5}
    assert np.isnan(found.worst)
    assert found.bad_weights == (WEIGHT,)
    assert [name.rpartition("_")[2] for name in found.bad_state] == ["momentum", "velocity"]
    assert np.isfinite(found.steps[WEIGHT]).tolist() == [True] * 4 + [False] * 11  # though it keeps its bits
    assert found.metrics.keys() == {"loss"}
    assert np.isfinite(found.metrics["loss"]).tolist() == [True] * 5 + [False] * 10


def test_the_worst_weight_is_that_from_the_fault_on():
    class Wild(toys.Descending):
        def __init__(self):
            super().__init__()
            self.weight.assign([1e6, 3, 3, 3])

        def run(self, batches):
            super().run(batches)
            if len(self.losses) == 3:
                self.weight.assign([-10.0, 3, 3, 3])

    clean = watch(Wild, batches=8)
    assert clean.worst == 0.0
    found = watch(Wild, "scale=0,batch=6", batches=8)
    assert 9 < found.worst < 10
    far = watch(Wild, "scale=-1e4,batch=6", batches=8)
    assert 600 < far.worst < 700
    endless = watch(Wild, "scale=1e39,batch=6,batches=2", batches=8)
    assert np.isnan(endless.worst) or endless.worst == np.inf


def test_the_worst_weight_may_be_that_which_the_loop_dies_of():
    class Careful(toys.Descending):
        def run(self, batches):
            super().run(batches)
            if tf.reduce_max(tf.abs(self.weight)) > 100:
                raise OverflowError

    far = watch(Careful, "scale=-1e5,batch=6", batches=8)
    assert (far.ended, far.batches) == ("crashed", 6)
    assert 900 < far.worst < 1100
    assert np.isnan(watch(toys.Checked, "nan,batch=6", batches=8).worst)


@pytest.mark.parametrize(("batch", "every", "struck"), [(10, 4, 12), slow(12, 4, 12), slow(1, 20, 20), (1, 21, 21)])
def test_a_fault_of_one_batch_waits_for_its_network(batch, every, struck):
    found = watch(lambda: toys.Seldom(every), f"nan,batch={batch}", batches=batch + 5)
    assert found.ended == "whole"
    assert found.struck == (struck,)
    assert found.batches == struck + 5  # as many afterwards as there would have been
    assert found.first_bad == struck


def test_a_fault_waits_no_longer_than_its_patience():
    found = watch(lambda: toys.Seldom(22), "nan,batch=1", batches=6)
    assert found.ended == "not tested"
    assert found.why == f"no such gradient was computed in the fault's batches ({PATIENCE} more batches were tried)"
    assert found.batches == 1 + 1 + PATIENCE
    assert found.struck == ()


def test_a_fault_of_several_batches_does_not_wait():
    found = watch(lambda: toys.Seldom(4), "scale=2,batch=5,batches=6")
    assert found.struck == (8,)
    assert found.batches == 15
    never = watch(lambda: toys.Seldom(4), "scale=2,batch=5,batches=3")
    assert never.ended == "not tested"
    assert never.why == "no such gradient was computed in the fault's batches"
    assert never.batches == 15


def test_a_fault_that_nothing_can_be_hit_by_is_not_tested():
    found = watch(toys.Quadratic, "nan,target=encoder")
    assert found.ended == "not tested"
    assert "no gradient of a variable with 'encoder' in its name was traced" in found.why


def test_a_fault_that_never_happened_by_chance_says_so():
    found = watch(toys.Quadratic, "nan,probability=0.01")
    assert found.ended == "not tested"
    assert found.why == "with a probability of 0.01, it happened in none of its batches"


def test_a_random_fault_strikes_in_the_batches_that_were_drawn():
    fault = Fault("scale", 2.0, batch=2, batches=10, probability=0.5, seed=1)
    found = watch(toys.Quadratic, str(fault))
    assert found.struck == tuple(batch for batch in range(15) if fault.strength(batch) is not None)
    assert 0 < len(found.struck) < 10
    other = watch(toys.Quadratic, str(fault), spec=LoopSpec("tiny", seed=7))
    assert other.struck == tuple(batch for batch in range(15) if fault.strength(batch, 7) is not None)
    assert other.struck != found.struck


def test_a_fault_that_never_happened_by_chance_depends_on_the_seed_of_the_run():
    fault = Fault("nan", target="encoder", probability=0.5)
    drawn = {seed: fault.strength(fault.batch, seed) is not None for seed in range(20)}
    for right in (False, True):
        seed = next(seed for seed, strikes in drawn.items() if strikes == right)
        found = watch(toys.Quadratic, str(fault), spec=LoopSpec("tiny", seed=seed))
        assert found.ended == "not tested"
        assert ("it happened in none of its batches" in found.why) != right


def test_weights_that_the_fault_changes_have_not_moved():
    found = watch(toys.Guarded, "scale=100,in=weights,batch=5", batches=8)
    assert found.struck == (5,)
    assert max(found.steps[WEIGHT]) < 0.1
    assert found.worst > 100


def test_a_learning_rate_of_zero_is_no_skip_of_state():
    found = watch(toys.Quadratic, "scale=0,in=learning_rate,batch=5,batches=2", batches=10)
    assert found.struck == (5, 6)
    assert found.first_bad is None
    assert all(found.steps[WEIGHT][batch] > 0 for batch in range(10) if batch not in (5, 6))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ArithmeticError("Graph execution error:\n\nDetected at node x\nloss is NaN"), "ArithmeticError: loss is NaN"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyError("loss"), "KeyError: 'loss'"),
        (AssertionError(), "AssertionError: run"),
        (RuntimeError("x" * 500), f"RuntimeError: {'x' * 400}"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_loop_that_raises_has_crashed_and_shows_what_it_was(error, why):
    def make():
        loop = toys.Checked()
        loop.error = error
        return loop

    found = watch(make, "nan,batch=4")
    assert found.ended == "crashed"
    assert found.why == why
    assert found.batches == 4  # that were trained to the end
    assert found.struck == (4,)
    assert found.first_bad == 4
    assert found.bad_weights == (WEIGHT,)
    assert len(found.metrics["loss"]) == 5


def test_a_loop_that_cannot_tell_its_history_has_crashed():
    class Silent(toys.Quadratic):
        def history(self):
            raise OSError("disk full")

    found = watch(Silent)
    assert (found.ended, found.why) == ("crashed", "OSError: disk full")
    assert found.metrics == {}
    assert found.batches == 15


def test_a_loop_that_crashes_everywhere_is_seen_all_the_same():
    class Hopeless(toys.Failing):
        def history(self):
            raise OSError("disk full")

    found = watch(Hopeless)
    assert (found.ended, found.why) == ("crashed", "RuntimeError: out of something")
    assert (found.batches, found.metrics, found.first_bad) == (6, {}, None)


@pytest.mark.parametrize(
    "error",
    [MemoryError("no more of it"), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("fault", [None, "nan"])
def test_a_factory_that_runs_out_of_memory_has_crashed(fault, error):
    def make():
        raise error

    genuine = tf.GradientTape.gradient
    with pytest.raises(UsageError) as caught:
        watch(make, fault)
    said = str(caught.value)
    assert said.startswith(f"factory 'toys:it': failed with {type(error).__name__}: ")
    assert str(error).splitlines()[0] in said
    assert out_of_memory(caught.value.__cause__)  # which the engine takes for a crash
    assert tf.GradientTape.gradient is genuine


@pytest.mark.parametrize("error", [ValueError("no"), tf.errors.InvalidArgumentError(None, None, "no")], ids=repr)
def test_a_factory_that_fails_otherwise_is_an_error_of_its_author(error):
    def make():
        raise error

    with pytest.raises(UsageError, match=r"failed with .*: no"):
        watch(make)


@pytest.mark.parametrize("fault", [None, "nan"])
@pytest.mark.parametrize("name", ["_bits", "_step", "_is_finite"])
def test_a_mistake_of_the_watcher_is_no_crash_of_the_loop(name, fault, monkeypatch):
    def mistaken(*values):
        raise IndexError("ours")

    monkeypatch.setattr(watching, name, mistaken)
    with pytest.raises(IndexError, match="ours"):
        watch(toys.Quadratic, fault)


def test_variables_that_cannot_be_read_are_no_crash_either():
    class Closed(toys.Quadratic):
        @property
        def variables(self):
            if len(self.losses) == 6:
                raise OSError("closed")
            return super().variables

    with pytest.raises(LoopError, match="variables failed with OSError: closed, at "):
        watch(Closed)


def test_ctrl_c_is_no_crash():
    class Stopped(toys.Quadratic):
        def run(self, batches):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(Stopped)


def test_a_loop_that_breaks_the_contract_is_an_error_of_its_author():
    class Wrong(toys.Quadratic):
        def history(self):
            return [1.0]

    with pytest.raises(UsageError, match="history"):
        watch(Wrong)
    with pytest.raises(UsageError, match="the loop has no absent"):
        watch(toys.Quadratic, "nan,in=absent(x)")


@pytest.mark.parametrize(
    ("dtype", "fault"),
    [
        *((dtype, fault) for dtype in ("bfloat16", "float16", "float64") for fault in (None, "scale=1e30")),
        *(slow(dtype, fault) for dtype in ("bfloat16", "float16", "float64") for fault in ("nan", "nan,in=weights")),
    ],
)
def test_weights_of_other_types(dtype, fault):
    class Half(toys.Quadratic):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(tf.cast([1.0, 2.0], dtype), name="generator/weight")

        def _step(self):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self.weight - 3.0) ** 2)
            self.weight.assign_sub(tf.cast(0.125, dtype) * tape.gradient(loss, self.weight))
            return tf.cast(loss, tf.float32)

        @property
        def variables(self):
            return [self.weight]

    found = watch(Half, fault, batches=12)
    assert found.ended == "whole"
    assert found.steps[WEIGHT][0] == pytest.approx(0.125 * np.hypot(2, 1), rel=0.02)
    if fault is not None:
        bad = "nan" in fault or dtype == "float16"
        assert (found.first_bad == 10) == bad
        assert (found.bad_weights == (WEIGHT,)) == bad
        assert bad or found.worst > 1e28


class Deep:
    """A network of Keras that descends by hand."""

    def __init__(self):
        layers = [keras.layers.Dense(2, name="trunk"), keras.layers.Dense(1, name="head")]
        self.model = keras.Sequential([keras.Input((2,)), *layers], name="net")
        self.losses = []

    @property
    def variables(self):
        return self.model.trainable_variables

    def run(self, batches):
        for _ in range(batches):
            self.losses.append(self.step())

    def step(self):
        weights = [each.value for each in self.model.trainable_variables]  # whose gradients Keras asks for
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.model(np.ones((2, 2))) - 1.0) ** 2)
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.1 * gradient)
        return float(loss)

    def history(self):
        return {"loss": self.losses}


class Compiled(Deep):
    """One that Keras trains, whose optimizer has variables too."""

    def __init__(self):
        super().__init__()
        self.model.compile("adam", "mse", jit_compile=False)

    @property
    def variables(self):
        return [*self.model.trainable_variables, *self.model.optimizer.variables]

    def step(self):
        return self.model.train_on_batch(np.ones((2, 2)), np.ones((2, 1)))


@pytest.mark.parametrize("loop", [Deep, pytest.param(Compiled, marks=pytest.mark.slow)])
def test_variables_of_keras_are_named_by_their_path(loop):
    found = watch(loop, "nan,target=net/head,batch=2", batches=4)
    assert found.struck == (2,)
    # In their order, on which no hash of a text has a say.
    assert list(found.steps) == ["0:net/trunk/kernel", "1:net/trunk/bias", "2:net/head/kernel", "3:net/head/bias"]
    assert np.isnan(found.steps["2:net/head/kernel"][2])
    assert np.isfinite(found.steps["0:net/trunk/kernel"][2])


def test_state_that_is_made_in_the_first_batch_is_seen_from_then_on():
    class Unguarded(toys.Late):
        _step = toys.Quadratic._step

    late, usual = watch(toys.Late), watch(toys.Guarded)
    assert late.metrics == usual.metrics
    assert list(late.steps.values()) == list(usual.steps.values())
    assert [name.partition(":")[2] for name in late.steps] == ["generator/weight:0"]
    poisoned = watch(Unguarded, "nan,batch=4")
    assert [name.partition(":")[2] for name in poisoned.bad_weights] == ["generator/weight:0"]
    assert [name.rpartition("_")[2] for name in poisoned.bad_state] == ["momentum", "velocity"]


def test_namesakes_are_told_apart_and_a_weight_may_go_or_come():
    class Growing(toys.Quadratic):
        def __init__(self):
            super().__init__()
            self.more = [tf.Variable([float(number)], name="more") for number in range(3)]

        def run(self, batches):
            super().run(batches)
            self.more[1].assign_add([0.5])
            if len(self.losses) == 3:
                self.more.pop()
                self.more.append(tf.Variable([7.0], name="other"))
            self.more[-1].assign_add([2.0])

        @property
        def variables(self):
            return [*self.more, *super().variables]

    found = watch(Growing, "scale=1", batches=12)
    steps = {name.partition("more")[0]: steps for name, steps in found.steps.items() if "more" in name}
    assert steps == {"0:": (0,) * 12, "1:": (0.5,) * 12, "2:": (2.0,) * 2 + (0.0,) * 10}
    (other,) = (steps for name, steps in found.steps.items() if "other" in name)
    assert other == (0.0,) * 3 + (2.0,) * 9
    assert found.worst == 7.0 + 2.0 * 10


def test_variables_of_texts_are_left_out():
    class Titled(toys.Guarded):
        def __init__(self):
            super().__init__()
            self.title = tf.Variable("", trainable=False, name="generator/title")
            self.words = tf.Variable(["a", "b"], name="generator/words")

        def run(self, batches):
            super().run(batches)
            self.title.assign(str(len(self.losses)))

        @property
        def variables(self):
            return [*super().variables, self.title, self.words]

    found = watch(Titled, "nan")
    assert found == watch(toys.Guarded, "nan")


@pytest.mark.parametrize("start", [np.inf, slow(np.nan)])
def test_what_was_not_finite_in_the_first_place_is_not_bad(start):
    class Best(toys.Guarded):
        def __init__(self):
            super().__init__()
            self.best = tf.Variable(start, trainable=False, name="best_loss")

        @property
        def variables(self):
            return [*super().variables, self.best]

    for fault in (None, "nan"):
        found = watch(Best, fault)
        assert found.first_bad is None
        assert found.bad_state == ()


def test_state_that_becomes_infinite_is_bad():
    class Worst(toys.Guarded):
        def __init__(self):
            super().__init__()
            self.best = tf.Variable(0.0, trainable=False, name="worst_loss")

        def run(self, batches):
            super().run(batches)
            if len(self.losses) == 6:
                self.best.assign(np.inf)

        @property
        def variables(self):
            return [*super().variables, self.best]

    found = watch(Worst)
    assert found.first_bad == 5
    assert [name.partition(":")[2] for name in found.bad_state] == ["worst_loss:0"]


def test_metrics_that_go_bad_first_are_where_it_began():
    class Early(toys.Quadratic):
        def history(self):
            return {"late": np.ones(len(self.losses)), "early": [1.0, np.nan] + [1.0] * (len(self.losses) - 2)}

    assert watch(Early).first_bad == 1
    assert watch(Early, "nan").first_bad == 1


class Described(toys.Quadratic):
    length = 4

    def describe(self):
        return {"batches_per_epoch": self.length}


def test_epochs_are_of_as_many_batches_as_the_loop_says():
    assert watch(Described, batches=None, epochs=3).batches == 12


def test_a_loop_that_trains_for_epochs_is_looked_at_after_each():
    found, each = watch(Described, batches=None, epochs=3), watch(Described, batches=12)
    assert (found.stride, each.stride) == (4, 1)
    assert found.metrics == each.metrics
    # Its weight goes straight on, so that what it moves in four batches is the sum of what it moves in each.
    np.testing.assert_allclose(found.steps[WEIGHT], np.reshape(each.steps[WEIGHT], [3, 4]).sum(1), rtol=1e-6)


def test_bad_numbers_are_located_within_an_epoch():
    class Silent(Described, toys.Dying):
        def history(self):
            return {}

    class Failing(toys.Checked, Silent):
        pass

    found = watch(Silent, batches=None, epochs=3)
    assert (found.ended, found.batches, found.first_bad) == ("whole", 12, 7)  # the last of its epoch
    died = watch(Failing, batches=None, epochs=3)
    assert (died.ended, died.batches, died.first_bad) == ("crashed", 4, 4)  # the first of its epoch

    class Late(Described, toys.Dying):
        def run(self, batches):
            for _ in range(batches):
                super().run(1)
                if np.isnan(self.losses[-1]):
                    raise ArithmeticError

    died = watch(Late, batches=None, epochs=3)
    assert (died.batches, died.first_bad) == (4, 6)  # what the loop tells of it
    assert died.first_bad_of == {"weights": 6, "optimizer state": 6, "metrics": 6}

    class Telling(Silent):
        def history(self):
            return {"loss": np.where(np.arange(len(self.losses)) == 6, np.nan, 1.0)}

    assert watch(Telling, batches=None, epochs=3).first_bad == 6  # the loss tells which


@pytest.mark.parametrize("length", [None, "four", 4.0, 0, -4])
def test_without_a_length_an_epoch_is_not_tested(length):
    class Vague(Described):
        pass

    Vague.length = length
    for make in (Vague, toys.Quadratic):
        found = watch(make, batches=None, epochs=3)
        assert found.ended == "not tested"
        assert found.why == "the loop does not report its batches_per_epoch"


def test_the_fault_is_in_nothing_afterwards():
    genuine = tf.GradientTape.gradient
    watch(toys.Checked, "nan")
    assert tf.GradientTape.gradient is genuine
