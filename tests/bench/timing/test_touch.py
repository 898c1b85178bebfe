import tensorflow as tf
import toys

from bench.timing import work
from bench.timing import work as touch


def test_touching_leaves_the_weights_alone():
    loop = toys.Quadratic()
    start = work.weights(loop)
    loop.run(3)
    before = [variable.numpy() for variable in loop.variables]
    assert 0 < touch.touch_seconds(loop, start) < 1
    assert all((was == now.numpy()).all() for was, now in zip(before, loop.variables, strict=True))


def test_more_weights_take_longer():
    def seconds(size):
        loop = Moved(tf.Variable(tf.ones([size])))
        return touch.touch_seconds(loop, {name: 0 * value for name, value in work.weights(loop).items()})

    assert seconds(10_000_000) > 10 * seconds(10)


class Moved:
    def __init__(self, *variables):
        self.variables = variables


def test_what_moves_in_part_or_is_not_trained_is_not_counted(monkeypatch):
    """Of an embedding an update may touch a few rows."""
    loop = Moved(tf.Variable(tf.eye(10)), tf.Variable(tf.ones([10])), tf.Variable(tf.ones([3]), trainable=False))
    still = {name: 0 * value for name, value in work.weights(loop).items()}
    copied = []
    variable = tf.Variable
    monkeypatch.setattr(touch.tf, "Variable", lambda value: copied.append(value.shape) or variable(value))
    assert touch.touch_seconds(loop, still) > 0
    assert copied == [[10]]
    assert touch.touch_seconds(loop, work.weights(loop)) is None
