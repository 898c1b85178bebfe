"""Tests of loops on several devices; `test_distributed.py` runs them in a process whose CPU is two devices."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
import toys

from loop_bench import collectives, loops
from loop_bench.experiments.equivalence.check import equivalence
from loop_bench.experiments.equivalence.side import Side
from loop_bench.experiments.survival.clean_run import CleanRun
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.outcome import judge
from loop_bench.experiments.survival.watching import observe
from loop_bench.hostsync.recorder import record
from loop_bench.loop import LoopSpec, build, history
from loop_bench.loops import rows
from loop_bench.source import source_line
from loop_bench.timing import work
from loop_bench.variables import VariableReader, held, is_mirrored, replicas

SPEC = LoopSpec("any")
CPUS = ["/cpu:0", "/cpu:1"]

toys.two_cpus()


@pytest.fixture
def strategy():
    collectives.begin_numbering()
    return tf.distribute.MirroredStrategy(CPUS)


def of_strategy(strategy, **how):
    with strategy.scope():
        return tf.Variable([1.0, 2.0], **how)


def moved(loop, batches):
    """Problems of a loop's work over some batches."""
    loop.run(1)
    witness = work.Witness(loop)
    loop.run(batches)
    return witness.work(batches).problems()


def seen(loop, fault=None, batches=80, ready=()):
    struck = fault and Fault.parse(fault)
    return observe("toys", lambda spec: loop(), SPEC, struck, batches, None, map(Fault.parse, ready))


def outcome(loop, fault):
    ready = ["nan", "nan,replica=0", "nan,replica=1"]
    clean, struck = seen(loop, None, 90, ready), seen(loop, fault, ready=ready)
    return judge(struck, CleanRun(clean), Fault.parse(fault))


def test_replicas_are_those_of_tensorflow_and_of_keras(strategy):
    plain = of_strategy(strategy)
    with strategy.scope():
        layer = tf.keras.layers.Dense(1)
        layer.build((None, 2))
    for variable in (plain, layer.kernel):
        assert [each.device[-5:] for each in replicas(variable)] == ["CPU:0", "CPU:1"]
        assert is_mirrored(variable, held(variable))
    assert [each.shape for each in VariableReader(every_replica=True)([plain, layer.kernel])] == [(2, 2), (2, 2, 1)]
    assert [each.shape for each in VariableReader()([plain, layer.kernel])] == [(2,), (2, 1)]


def test_variables_summed_at_reading_are_no_mirrors(strategy):
    variable = of_strategy(
        strategy,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )
    assert len(replicas(variable)) == 2
    assert not is_mirrored(variable, held(variable))


def test_a_strategy_of_one_device_changes_nothing():
    with tf.distribute.OneDeviceStrategy("/cpu:1").scope():
        loop = build("toys:plain", toys.plain, SPEC)
    assert {len(replicas(each)) for each in loop.variables} == {1}
    assert moved(loop, 5) == []


def test_replicas_that_train_together_have_done_their_work():
    assert moved(toys.Mirrored(), 10) == []


def test_replicas_that_drift_apart_are_named():
    (problem,) = moved(toys.Unsummed(), 10)
    assert problem.startswith("replicas differ, by up to ")
    assert problem.endswith(" of how far they have moved: 0:generator/weight:0")


def test_replicas_that_never_train_together_are_named():
    """The replicas differ already at the first check, after one batch."""
    (problem,) = moved(toys.Unsummed(after=0), 10)
    assert problem.startswith("replicas differ, by up to ")


def test_a_number_that_is_not_finite_on_one_replica_is_found():
    loop = toys.Mirrored()
    loop.run(1)
    witness = work.Witness(loop)
    loop.run(1)
    loop.weight.values[1].assign([float("nan")] * 4)
    assert "not finite: 0:generator/weight:0" in witness.work(1).problems()


def test_loops_with_as_many_replicas_are_equivalent():
    found = equivalence(Side(toys.Mirrored()), Side(toys.Mirrored()), {}, 12)
    assert found.bit_for_bit, found.reason


def test_loops_with_replicas_and_without_are_equivalent_up_to_rounding():
    for one, other in ((toys.Quadratic, toys.Mirrored), (toys.Mirrored, toys.Quadratic)):
        found = equivalence(Side(one()), Side(other()), {}, 30)
        assert found.equal, found.reason


def test_a_loop_whose_replicas_drift_apart_is_equivalent_to_nothing():
    found = equivalence(Side(toys.Mirrored()), Side(toys.Unsummed()), {}, 12)
    assert not found.equal
    assert found.reason.startswith("the replicas of after differ, by up to ")


@pytest.mark.parametrize("fault", ["nan", "nan,replica=0", "nan,replica=1"])
def test_a_gradient_that_is_not_a_number_on_any_replica_poisons_all(fault):
    found = outcome(toys.Mirrored, fault)
    assert (found.outcome, found.struck) == ("poisoned weights", 1)
    assert seen(toys.Mirrored, fault).bad_weights == ("0:generator/weight:0",)


@pytest.mark.parametrize("fault", ["nan", "nan,replica=1"])
def test_a_guard_that_looks_at_the_sum_saves_all(fault):
    assert outcome(toys.GuardedMirrored, fault).weights_finite


def test_a_fault_of_one_replica_is_in_its_part_of_the_sum_alone():
    """The mean of two gradients g, one of them multiplied by ten, is 5.5 g, which plain descent shows."""

    def step_of(fault):
        def loop():
            made = toys.Mirrored()
            with made.strategy.scope():
                made.optimizer = tf.keras.optimizers.SGD(0.01)
                made.optimizer.build([made.weight])
            return made

        return seen(loop, fault, batches=12).steps["0:generator/weight:0"][10]

    usual, both, one = step_of(None), step_of("scale=10"), step_of("scale=10,replica=1")
    assert both / usual == pytest.approx(10, rel=1e-4)
    assert one / usual == pytest.approx(5.5, rel=1e-4)


def test_a_replica_out_of_range_is_an_error():
    found = seen(toys.Mirrored, "nan,replica=2")
    assert found.ended == "not tested"
    assert found.why.startswith("gradients were computed only by replica 0, replica 1")
    assert seen(toys.Quadratic, "nan,replica=1").why.startswith("gradients were computed only by replica 0")


def test_replicas_that_come_apart_are_an_outcome_of_their_own():
    found = judge(
        seen(toys.Unsummed, "nan,batch=500", 12), CleanRun(seen(toys.Mirrored, batches=12)), Fault.parse("scale=1")
    )
    assert found.outcome == "not tested"  # it did not happen: what follows is of one that did
    struck = seen(lambda: toys.Unsummed(after=11), "scale=1")
    assert (struck.first_apart, struck.apart) == (11, ("0:generator/weight:0",))
    found = judge(struck, CleanRun(seen(toys.Mirrored, batches=90)), Fault.parse("scale=1"))
    assert found.outcome == "replicas differ"
    assert found.reason == "the replicas of 1 variable differ, from batch 11 on, with finite numbers"


def test_reads_of_values_of_replicas_are_at_their_lines(strategy):
    weight = of_strategy(strategy)
    losses = strategy.run(lambda: tf.reduce_sum(weight))
    with record() as log:
        for each in strategy.experimental_local_results(losses):
            each.numpy()
        str(losses)
        weight.numpy()
        np.asarray(weight)
        strategy.reduce("SUM", losses, axis=None).numpy()
    lines = [(source_line(read.file, read.line), read.route) for read in log.reads]
    assert lines == [
        *[("each.numpy()", "numpy")] * 2,
        *[("str(losses)", "str")] * 2,
        ("weight.numpy()", "numpy"),
        ("np.asarray(weight)", "asarray"),
        ('strategy.reduce("SUM", losses, axis=None).numpy()', "numpy"),
    ]


class TestFit:
    """`fit` of a model with two replicas."""

    DATA = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    WANTED = DATA.sum(axis=1, keepdims=True)

    def loop(self, scope, shuffled=False):
        with scope:
            tf.keras.utils.set_random_seed(0)
            dense = [tf.keras.layers.Dense(4, activation="tanh"), tf.keras.layers.Dense(1)]
            model = tf.keras.Sequential([tf.keras.layers.Input((3,)), *dense])
            model.compile(tf.keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
        data = tf.data.Dataset.from_tensor_slices((self.DATA, self.WANTED))
        data = data.shuffle(32, seed=1).batch(8) if shuffled else data.batch(8)
        return loops.from_keras(model, data)

    def test_has_the_history_of_one_device(self, strategy):
        one, two = self.loop(tf.distribute.OneDeviceStrategy("/cpu:0").scope()), self.loop(strategy.scope())
        for loop in (one, two):
            loop.run(5)
            loop.run(3)
        expected, found = history(one), history(two)
        assert {name: len(values) for name, values in found.items()} == {"loss": 8, "mae": 8}
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)
        for mine, other in zip(one.variables, two.variables, strict=True):
            np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-4, atol=1e-6)
            assert len(replicas(other)) == 2 or not other.trainable

    def test_trains_on_shuffled_data_in_the_order_of_no_strategy(self, strategy):
        def losses(scope):
            loop = self.loop(scope, shuffled=True)
            loop.run(4)
            return history(loop)["loss"]

        expected = losses(contextlib.nullcontext())
        np.testing.assert_allclose(losses(strategy.scope()), expected, rtol=1e-5)

    def test_keeps_its_rows_on_the_device_of_the_model(self):
        for scope in (tf.distribute.OneDeviceStrategy("/cpu:1").scope, lambda: tf.device("/cpu:1")):
            with scope():
                model = tf.keras.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(1)])
                model.compile("sgd", "mse")
                kept = rows.KeptRows(model)
            assert [each.row.device[-5:] for each in kept._replicas] == ["CPU:1"]

    def test_has_done_its_work(self, strategy):
        loop = self.loop(strategy.scope())
        assert moved(loop, 6) == []


def summing(size):
    """A loop whose replicas sum `size` numbers."""

    class Summing(toys.Mirrored):
        def _half(self):
            tf.distribute.get_replica_context().all_reduce("SUM", tf.ones([size]))
            return super()._half()

    return lambda spec: Summing()


def test_strategies_of_several_loops_do_not_take_their_sums_for_one_anothers():
    three, five = (build(f"toys:{size}", summing(size), SPEC) for size in (3, 5))
    for loop in (three, five, three):
        loop.run(1)
    assert len(history(three)["loss"]) == 2
