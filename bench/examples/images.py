"""A loop of one's own around `tf.GradientTape`, for images: prepared on the host, and on the device.

pytest --pyargs loop_bench --benchmark-only \
        --before loop_bench.examples.images:on_host --after loop_bench.examples.images:on_device

It takes Keras from `tf.keras`, which is Keras 2 where `TF_USE_LEGACY_KERAS=1` is set, and works with both.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import tensorflow as tf

BATCH, SIDE, CLASSES = 32, 28, 10


class ImageLoop:
    """The part that both loops share: the network, the images, and one training step as a graph."""

    def __init__(self, seed: int) -> None:
        # Not tf.keras.utils.set_random_seed: after it tf_keras 2.16 to 2.18 makes no layer on Python 3.12.
        random.seed(seed)  # Keras draws from it what it begins the weights with
        tf.random.set_seed(seed)
        rng = np.random.default_rng(seed)
        self._images = rng.integers(0, 256, size=[2048, SIDE, SIDE, 1], dtype=np.uint8)  # [N, H, W, 1]
        self._labels = rng.integers(0, CLASSES, size=[2048])  # [N]
        self._model = tf.keras.Sequential(
            [
                tf.keras.Input([SIDE, SIDE, 1]),
                tf.keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                tf.keras.layers.Flatten(),
                tf.keras.layers.Dense(CLASSES),
            ]
        )
        self._optimizer = tf.keras.optimizers.Adam(1e-3)
        self._optimizer.build(self._model.trainable_variables)
        self._losses: list[Any] = []
        self._batch = 0

    def history(self) -> dict[str, np.ndarray]:
        """The loss of each batch."""
        return {"loss": np.array(tf.stack(self._losses)) if self._losses else np.empty(0)}

    @property
    def variables(self) -> list[Any]:
        """Weights and optimizer state."""
        return [*self._model.variables, *self._optimizer.variables]

    def _rows(self) -> slice:
        start = self._batch * BATCH % len(self._images)
        self._batch += 1
        return slice(start, start + BATCH)

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """One update on floats [B, H, W, 1] and classes [B]; gives the loss before it."""
        with tf.GradientTape() as tape:
            logits = self._model(images, training=True)  # [B, classes]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        weights = self._model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss


class OnHost(ImageLoop):
    """NumPy prepares each batch, TensorFlow copies it to the device, and the loss is read back at once."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._train = tf.function(self._step)

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches."""
        for _ in range(batches):
            rows = self._rows()
            images = self._images[rows].astype(np.float32) / 255.0
            self._losses.append(self._train(tf.constant(images), tf.constant(self._labels[rows])).numpy())


class OnDevice(ImageLoop):
    """The images lie on the device as bytes, a batch is a slice there, and the loss stays where it is."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._resident = tf.constant(self._images), tf.constant(self._labels)

        @tf.function
        def train(start: tf.Tensor) -> tf.Tensor:
            images, labels = (values[start : start + BATCH] for values in self._resident)
            return self._step(tf.ensure_shape(tf.cast(images, tf.float32) / 255.0, [None, SIDE, SIDE, 1]), labels)

        self._train = train

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches; their losses are still being computed on return."""
        for _ in range(batches):
            self._losses.append(self._train(tf.constant(self._rows().start)))


def on_host(spec: Any) -> ImageLoop:
    """The loop before."""
    return OnHost(spec.seed)


def on_device(spec: Any) -> ImageLoop:
    """The loop after."""
    return OnDevice(spec.seed)
