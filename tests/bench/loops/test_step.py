import collections

import numpy as np
import pytest
import tensorflow as tf
from regressions import BATCHES, built, data, training_step

from loop_bench import loops
from loop_bench.errors import UsageError
from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.injection import GradientInjection
from loop_bench.experiments.syncs.counting import count_host_syncs
from loop_bench.failure import LoopError
from loop_bench.loop import history

Losses = collections.namedtuple("Losses", ["g_loss", "d_loss"])


def stepping(step, batches=(1.0, 2.0), variables=None):
    """A loop of a step that trains nothing."""
    weight = tf.Variable(0.0)
    return built(lambda: loops.from_step(step, batches, [weight] if variables is None else variables))


def test_reads_what_the_step_reads_and_nothing_else():
    train, variables = training_step()
    keeping = built(lambda: loops.from_step(train, data(), variables))
    reading = built(lambda: loops.from_step(lambda x, y: float(train(x, y)), data(), variables))
    for loop in (keeping, reading):
        loop.run(6)
    (read,) = count_host_syncs(reading, 10).sites
    assert (read.reads, read.route, read.file.rpartition("/")[2]) == (10, "float", "test_step.py")
    (kept,) = count_host_syncs(keeping, 10).sites
    assert (kept.reads, kept.source) == (1, "keeping = built(lambda: loops.from_step(train, data(), variables))")
    assert kept.nbytes == 10 * 8  # the history of these batches, and no more


def test_faults_can_be_injected():
    with GradientInjection(Fault("nan")) as injection:
        train, variables = training_step()
        loop = built(lambda: loops.from_step(train, data(), variables))
        loop.run(1)
        assert np.isfinite(variables[0].numpy()).all()
        injection.set(1.0)
        loop.run(1)
    assert np.isnan(variables[0].numpy()).all()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (lambda x: tf.constant(2.0) * x, {"loss": [2.0, 4.0, 2.0]}),
        (lambda x: 2.0 * x, {"loss": [2.0, 4.0, 2.0]}),
        (lambda x: np.float32(x), {"loss": [1.0, 2.0, 1.0]}),
        (lambda x: {"a": x, "b": tf.constant(x)}, {"a": [1, 2, 1], "b": [1, 2, 1]}),
        (lambda x: (x, -x), {"metric 0": [1, 2, 1], "metric 1": [-1, -2, -1]}),
        (lambda x: Losses(x, -x), {"g_loss": [1, 2, 1], "d_loss": [-1, -2, -1]}),
        (lambda x: {"of": Losses(x, [-x])}, {"of/g_loss": [1, 2, 1], "of/d_loss/metric 0": [-1, -2, -1]}),
        (lambda x: None, {}),
    ],
)
def test_names_the_metrics_that_the_step_returns(given, found):
    loop = stepping(given)
    loop.run(2)
    loop.run(1)
    assert {name: values.tolist() for name, values in history(loop).items()} == found


def test_a_batch_that_is_no_tuple_is_one_argument():
    seen = []
    loop = stepping(seen.append, [{"x": 1}, [2, 3], (4,)])
    loop.run(4)
    assert seen == [{"x": 1}, [2, 3], 4, {"x": 1}]


@pytest.mark.parametrize("batches", [list, lambda: iter([]), lambda: data().take(0)])
def test_no_batches(batches):
    loop = stepping(print, batches())
    with pytest.raises(UsageError, match=r"from_step at .*test_step.py:\d+: data has no batches"):
        loop.run(1)


def test_an_exhausted_iterator_raises():
    loop = stepping(lambda x: x, iter([1.0, 2.0]))
    with pytest.raises(UsageError, match="an iterator can be used only once"):
        loop.run(3)


def test_variables_may_come_later():
    state = [tf.Variable(0.0)]
    loop = stepping(lambda x: state.append(tf.Variable(x)), [1.0], lambda: state)
    loop.run(2)
    assert [variable.numpy() for variable in loop.variables] == [0.0, 1.0, 1.0]


def test_an_error_in_the_step_is_at_its_line():
    def step(x):
        raise ArithmeticError("too much")

    with pytest.raises(LoopError, match=rf"too much, at .*test_step.py:{step.__code__.co_firstlineno + 1}$"):
        stepping(step).run(1)


@pytest.mark.parametrize(
    ("batches", "epoch"),
    [(data, {"batches_per_epoch": BATCHES}), (lambda: [1, 2], {"batches_per_epoch": 2}), (lambda: iter([1]), {})],
)
def test_describes_the_batches_per_epoch(batches, epoch):
    assert stepping(print, batches()).describe() == epoch


def test_has_evaluate_only_if_it_is_given():
    assert not hasattr(stepping(print), "evaluate")
    loop = loops.from_step(print, [1], [tf.Variable(0.0)], evaluate=lambda: {"loss ↓": 1.0})
    assert loop.evaluate() == {"loss ↓": 1.0}
