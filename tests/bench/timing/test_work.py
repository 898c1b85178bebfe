import dataclasses

import numpy as np
import tensorflow as tf
import toys

from loop_bench.timing import work
from loop_bench.timing.work import Work


def work_of(loop, batches, before, described=({}, {})):
    return Work.of(loop, batches, before, described)


def test_a_loop_that_trained_has_no_problems():
    loop = toys.Quadratic()
    before = work.weights(loop)
    loop.run(5)
    assert work_of(loop, 5, before).problems() == []


def test_only_weights_are_looked_at():
    assert list(work.weights(toys.Quadratic())) == ["0:generator/weight:0"]


def test_other_numbers_of_batches_are_named():
    loop = toys.Quadratic()
    before = work.weights(loop)
    loop.run(4)
    assert work_of(loop, 5, before).problems() == ["history 'loss' has 4 values for 5 batches"]


def test_a_history_without_metrics_is_named():
    class Silent(toys.Quadratic):
        def history(self):
            return {}

    loop = Silent()
    before = work.weights(loop)
    loop.run(1)
    assert work_of(loop, 1, before).problems() == ["the history is empty"]


def test_weights_that_did_not_move_are_named():
    loop = toys.Lazy()
    before = work.weights(loop)
    loop.run(5)
    assert work_of(loop, 5, before).problems() == ["no weight has moved"]


def test_numbers_that_are_not_finite_are_named():
    loop = toys.Quadratic()
    before = work.weights(loop)
    loop.run(2)
    loop.weight.assign(np.full(4, np.nan, np.float32))
    loop.run(2)
    assert work_of(loop, 4, before).problems() == [
        "history 'loss' is not finite from batch 2 on",
        "not finite: 0:generator/weight:0",
    ]


ONE = Work(batches=5, metrics={}, moved=("0:w", "1:b"), still=(), not_finite=(), samples_per_batch=None)


def test_samples_are_compared_if_both_loops_report_them():
    loop = toys.Quadratic()
    before = work.weights(loop)
    loop.run(1)
    assert work_of(loop, 5, before, ({"samples": 64}, {"samples": 320})).samples_per_batch == 64.0
    assert work_of(loop, 5, before, ({}, {"samples": 320})).samples_per_batch is None
    more, fewer = (dataclasses.replace(ONE, samples_per_batch=samples) for samples in (64.0, 32.0))
    assert work.unequal(more, fewer, ("before", "after")) == ["before trains on 64 samples a batch, after on 32"]
    assert work.unequal(more, more, ("before", "after")) == []
    assert work.unequal(more, ONE, ("before", "after")) == []


def test_weights_that_move_in_one_loop_alone():
    half = dataclasses.replace(ONE, moved=("0:w",), still=("1:b", "2:c", "3:d", "4:e"))
    says = "after leaves more weights unchanged than before: 1:b, 2:c, 3:d and 1 more"
    assert work.unequal(ONE, half, ("before", "after")) == [says]
    assert work.unequal(half, ONE, ("before", "after")) == [
        "before leaves more weights unchanged than after: 1:b, 2:c, 3:d and 1 more"
    ]
    one = dataclasses.replace(ONE, still=("9:x",))
    assert work.unequal(one, half, ("before", "after")) == [
        "after leaves more weights unchanged than before (1): 1:b, 2:c, 3:d and 1 more"
    ]
    assert work.unequal(half, half, ("before", "after")) == []  # frozen layers in both


def test_touching_leaves_the_weights_alone():
    loop = toys.Quadratic()
    start = work.weights(loop)
    loop.run(3)
    before = [variable.numpy() for variable in loop.variables]
    assert 0 < work.touch_seconds(loop, start) < 1
    assert all((was == now.numpy()).all() for was, now in zip(before, loop.variables, strict=True))


def test_more_weights_take_longer():
    def seconds(size):
        loop = Moved(tf.Variable(tf.ones([size])))
        return work.touch_seconds(loop, {name: 0 * value for name, value in work.weights(loop).items()})

    assert seconds(3_000_000) > 10 * seconds(10)


class Moved:
    def __init__(self, *variables):
        self.variables = variables


def test_weights_changed_in_part_or_not_trainable_are_not_counted(monkeypatch):
    """An update may touch only a few rows of an embedding."""
    loop = Moved(tf.Variable(tf.eye(10)), tf.Variable(tf.ones([10])), tf.Variable(tf.ones([3]), trainable=False))
    still = {name: 0 * value for name, value in work.weights(loop).items()}
    copied = []
    variable = tf.Variable
    monkeypatch.setattr(tf, "Variable", lambda value: copied.append(value.shape) or variable(value))
    assert work.touch_seconds(loop, still) > 0
    assert copied == [[10]]
    assert work.touch_seconds(loop, work.weights(loop)) is None
