import numpy as np
import pytest
import tensorflow as tf
from regressions import built

from loop_bench import loops
from loop_bench.errors import UsageError
from loop_bench.loop import history


def training(train):
    weight = tf.Variable(0.0)
    return built(lambda: loops.from_function(train, [weight]))


def test_keeps_the_metrics_that_the_function_returns():
    weight, asked = tf.Variable(0.0), []

    def train(batches):
        asked.append(batches)
        weight.assign_add(batches)
        return {
            "loss": tf.range(batches),
            "lr": np.full(batches, 0.1),
            "d": {"loss": [tf.constant(1.0), 2.0][:batches]},
        }

    loop = built(lambda: loops.from_function(train, [weight]))
    for batches in (2, 1):
        loop.run(batches)
    assert asked == [2, 1]
    found = {name: values.tolist() for name, values in history(loop).items()}
    assert found == {"loss": [0, 1, 0], "lr": [0.1] * 3, "d/loss": [1, 2, 1]}
    assert loop.variables[0].numpy() == 3.0


@pytest.mark.parametrize(
    ("gives", "found"), [(lambda batches: None, {}), (lambda batches: tf.ones([batches]), {"loss": [1, 1]})]
)
def test_a_function_may_return_nothing_or_one_metric(gives, found):
    loop = training(gives)
    loop.run(2)
    assert {name: values.tolist() for name, values in history(loop).items()} == found


@pytest.mark.parametrize(
    ("gives", "error"),
    [
        (lambda: tf.ones([1]), r"'loss' of shape \(1,\), but must return a number for each batch: \(2,\)"),
        (lambda: tf.constant(1.0), r"'loss' of shape \(\)"),
        (lambda: {"loss": [1.0] * 3}, r"'loss' of shape \(3,\)"),
        (lambda: 1.0, "'loss' as float, but must return the numbers of 2 batches"),
        (lambda: tf.constant(["a", "b"]), "'loss' as EagerTensor of string"),
    ],
)
def test_results_other_than_a_number_per_batch_raise(gives, error):
    with pytest.raises(UsageError, match=rf"from_function at .*test_function.py:\d+: the function returns {error}"):
        training(lambda batches: gives()).run(2)
