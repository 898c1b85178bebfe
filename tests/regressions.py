"""Linear regression by Keras' `fit` or by a custom step, for tests of the adapters."""

import numpy as np
import tensorflow as tf

from loop_bench.loop import LoopSpec, build

FEATURES = np.random.default_rng(0).normal(size=[20, 3]).astype(np.float32)
BATCHES = 5


def data():
    """A dataset of five batches of four rows."""
    return tf.data.Dataset.from_tensor_slices((FEATURES, FEATURES.sum(axis=1, keepdims=True))).batch(4)


def network(*first):
    """A linear model, always with the same initial weights, which are far from the solution."""
    return tf.keras.Sequential([*first, tf.keras.layers.Dense(1, kernel_initializer="zeros", name="line")], name="net")


def model(*first, **compiled):
    """The network, compiled; built too, unless `first` is None."""
    made = network(*(first or [tf.keras.Input([3])])) if first != (None,) else network()
    made.compile(optimizer(), "mse", **{"jit_compile": False, **compiled})
    return made


def optimizer():
    return tf.keras.optimizers.Adam(0.1, name="adam")


def training_step():
    """A custom step that computes the same as `fit`, and its variables."""
    line, adam = network(tf.keras.Input([3])), optimizer()
    adam.build(line.trainable_variables)

    @tf.function
    def train(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((line(x, training=True) - y) ** 2)
        weights = line.trainable_variables
        adam.apply_gradients(zip(tape.gradient(loss, weights), weights))  # noqa: B905  # tf_keras takes no other
        return loss

    return train, [*line.variables, *adam.variables]


def built(make):
    """Builds a factory's loop as the harness does."""
    return build("tests:loop", lambda spec: make(), LoopSpec("any"))
