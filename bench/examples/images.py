"""Example pair: an image classifier around `tf.GradientTape`, its images prepared on the host or on the device.

pytest --pyargs loop_bench --benchmark-only \
        --before loop_bench.examples.images:on_host --after loop_bench.examples.images:on_device

Keras is taken from `tf.keras`, so that `TF_USE_LEGACY_KERAS=1` selects Keras 2; the pair works with Keras 2 and 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from loop_bench import TrainingLoop, loops

BATCH, SIDE, CLASSES = 32, 28, 10


class Task:
    """Parts that both loops share: the images, the network, and one update of the network."""

    def __init__(self, seed: int) -> None:
        loops.seed(seed)
        rng = np.random.default_rng(seed)
        self.images = rng.integers(0, 256, size=[2048, SIDE, SIDE, 1], dtype=np.uint8)  # [N, H, W, 1]
        self.labels = rng.integers(0, CLASSES, size=[2048])  # [N]
        self.starts = range(0, len(self.images), BATCH)  # first row of each batch
        self.network = tf.keras.Sequential(
            [
                tf.keras.Input([SIDE, SIDE, 1]),
                tf.keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                tf.keras.layers.Flatten(),
                tf.keras.layers.Dense(CLASSES),
            ]
        )
        self.optimizer = tf.keras.optimizers.Adam(1e-3)
        self.optimizer.build(self.network.trainable_variables)
        self.variables = [*self.network.variables, *self.optimizer.variables]

    def update(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Trains on images [B, H, W, 1] float32 and classes [B]; returns the loss before the update."""
        with tf.GradientTape() as tape:
            logits = self.network(images, training=True)  # [B, classes]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        weights = self.network.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss


def on_host(spec: Any) -> TrainingLoop:
    """The loop before: NumPy prepares each batch, TensorFlow copies it to the device, and the host reads each loss."""
    task = Task(spec.seed)
    update = tf.function(task.update)

    def step(start: int) -> Any:
        rows = slice(start, start + BATCH)
        images = task.images[rows].astype(np.float32) / 255.0
        return update(tf.constant(images), tf.constant(task.labels[rows])).numpy()

    return loops.from_step(step, task.starts, task.variables)


def on_device(spec: Any) -> TrainingLoop:
    """The loop after: the images are on the device as bytes, a batch is a slice of them, and the loss is not read."""
    task = Task(spec.seed)
    resident = tf.constant(task.images), tf.constant(task.labels)

    @tf.function
    def step(start: tf.Tensor) -> tf.Tensor:
        images, labels = (values[start : start + BATCH] for values in resident)
        return task.update(tf.ensure_shape(tf.cast(images, tf.float32) / 255.0, [None, SIDE, SIDE, 1]), labels)

    return loops.from_step(lambda start: step(tf.constant(start)), task.starts, task.variables)
