"""Keras' `fit`: with a callback that reads the loss after every batch, and without, ten batches in one call.

Leaving the callback out is not enough: Keras 3.15 reads what `train_step` returns after every call of its graph, in a
thread of its own when no callback asks for it. (`loop_bench.hostsync` shows it.) So there are fewer calls, too.

Its factories are `loop_bench.examples.keras_fit:reading` and `loop_bench.examples.keras_fit:keeping`.
It takes Keras from `tf.keras`, which is Keras 2 where `TF_USE_LEGACY_KERAS=1` is set, and works with both.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import tensorflow as tf

import loop_bench

BATCH, FEATURES, CLASSES = 32, 64, 10
CAPACITY = 1_000_000  # batches whose losses can be kept


class Model(tf.keras.Sequential):
    """A classifier that writes the loss of each batch into a row on the device."""

    def __init__(self) -> None:
        layers = [tf.keras.layers.Dense(128, activation="relu"), tf.keras.layers.Dense(CLASSES)]
        super().__init__([tf.keras.Input([FEATURES]), *layers])
        self.losses_kept = tf.Variable(tf.zeros([CAPACITY]), trainable=False)
        self.batches = tf.Variable(0, dtype=tf.int64, trainable=False)

    def train_step(self, data: Any) -> Any:
        """As Keras does it, and keeps the loss: Keras' running mean since `fit` was called."""
        logs = super().train_step(data)
        self.losses_kept.scatter_nd_update(self.batches[None, None], logs["loss"][None])
        self.batches.assign_add(1)
        return logs


class ReadLoss(tf.keras.callbacks.Callback):
    """Looks at the loss after every batch, for which Keras waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.loss = float((logs or {})["loss"])


class FitLoop:
    """A loop that trains by calling `fit`."""

    def __init__(self, seed: int, batches_in_a_call: int, callbacks: list[tf.keras.callbacks.Callback]) -> None:
        # Not tf.keras.utils.set_random_seed: after it tf_keras 2.16 to 2.18 makes no layer on Python 3.12.
        random.seed(seed)  # Keras draws from it what it begins the weights with
        tf.random.set_seed(seed)
        rng = np.random.default_rng(seed)
        features = rng.normal(size=[1024, FEATURES]).astype(np.float32)
        labels = rng.integers(0, CLASSES, size=[1024])
        self._data = tf.data.Dataset.from_tensor_slices((features, labels)).repeat().batch(BATCH)
        self._model = Model()
        self._model.compile(
            "adam",
            tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
            steps_per_execution=batches_in_a_call,
        )
        self._callbacks = callbacks

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches."""
        self._model.fit(self._data.take(batches), callbacks=self._callbacks, shuffle=False, verbose=0)

    def history(self) -> dict[str, np.ndarray]:
        """The loss of each batch, in one read."""
        return {"loss": np.array(self._model.losses_kept[: self._model.batches])}

    @property
    def variables(self) -> list[Any]:
        """Weights and optimizer state; to the weights of a model Keras 2 adds variables that are kept in it."""
        return [*self._model.trainable_variables, *self._model.optimizer.variables]


def reading(spec: Any) -> FitLoop:
    """The loop before."""
    return FitLoop(spec.seed, 1, [ReadLoss()])


def keeping(spec: Any) -> FitLoop:
    """The loop after; its options lead there from the loop before: `callback`, and `batches_in_a_call`."""
    callbacks = [ReadLoss()] if spec.options.get("callback", False) else []
    return FitLoop(spec.seed, spec.options.get("batches_in_a_call", 10), callbacks)


CHANGES = loop_bench.Changes(
    steps={
        "no change yet": {"callback": True, "batches_in_a_call": 1},
        "no callback": {"batches_in_a_call": 1},
        "ten batches in a call": {"batches_in_a_call": 10},
    },
    exact=("no change yet", "no callback"),
)

PAIRS = [
    loop_bench.Pair(
        loop_bench.Arm("loop_bench.examples.keras_fit:reading"),
        loop_bench.Arm("loop_bench.examples.keras_fit:keeping"),
        equivalent={},  # nothing need be set for both to compute the same
        changes=CHANGES,
    )
]
"""What may be asked of the pair: `loop-bench ladder` and `equivalence --every-rung` find it here."""
