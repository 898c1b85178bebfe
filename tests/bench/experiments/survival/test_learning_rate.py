"""Learning rates of Keras 3; those of Keras 2 are in tests/keras_2_cases.py."""

import keras
import tensorflow as tf

from loop_bench.experiments.survival.learning_rate import learning_rates


def test_variables_that_are_called_so_in_their_order():
    optimizers = [keras.optimizers.SGD(rate, name=name) for name, rate in (("b", 0.2), ("a", 0.1))]
    own = tf.Variable(0.3, trainable=False, name="learning_rate")
    weight = tf.Variable(1.0, name="learned/learning_rate")
    found = learning_rates([weight, own, *(each for optimizer in optimizers for each in optimizer.variables)])
    assert [name for name, _ in found] == ["learning_rate", "b/learning_rate", "a/learning_rate"]
    assert found[0][1] is own


def test_a_schedule_has_none():
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))
    assert learning_rates(optimizer.variables) == []
