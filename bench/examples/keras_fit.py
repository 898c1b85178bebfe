"""Example pair: Keras' `fit` with a callback that reads every loss, and without it, ten batches in one graph call.

Leaving the callback out is not enough: Keras 3.15 reads what `train_step` returns after every call of its graph, in a
thread of its own when no callback asks for it, as `loop_bench.hostsync` shows. So the loop after makes fewer calls.

The factories are `loop_bench.examples.keras_fit:reading` and `loop_bench.examples.keras_fit:keeping`.
Keras is taken from `tf.keras`, so that `TF_USE_LEGACY_KERAS=1` selects Keras 2; the pair works with Keras 2 and 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

import loop_bench
from loop_bench import loops

BATCH, FEATURES, CLASSES = 32, 64, 10


class ReadLoss(tf.keras.callbacks.Callback):
    """Callback that reads the loss after every batch, so that Keras waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.loss = float((logs or {})["loss"])


def classifier() -> tf.keras.Model:
    """A small compiled classifier."""
    layers = [tf.keras.layers.Dense(128, activation="relu"), tf.keras.layers.Dense(CLASSES)]
    model = tf.keras.Sequential([tf.keras.Input([FEATURES]), *layers])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=False)
    return model


def batches(seed: int) -> tf.data.Dataset:
    """Random data in batches: features [B, F] float32 and classes [B]."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=[1024, FEATURES]).astype(np.float32)
    labels = rng.integers(0, CLASSES, size=[1024])
    return tf.data.Dataset.from_tensor_slices((features, labels)).batch(BATCH)


def reading(spec: Any) -> loop_bench.TrainingLoop:
    """The loop before: a callback reads the loss after every batch."""
    return _fit(spec.seed, callback=True, batches_in_a_call=1)


def keeping(spec: Any) -> loop_bench.TrainingLoop:
    """The loop after: no callback, ten batches in a call; its options `callback` and `batches_in_a_call` undo both."""
    return _fit(spec.seed, **{"callback": False, "batches_in_a_call": 10, **spec.options})


def _fit(seed: int, callback: bool, batches_in_a_call: int) -> loop_bench.TrainingLoop:
    loops.seed(seed)
    callbacks = [ReadLoss()] if callback else []
    return loops.from_keras(classifier(), batches(seed), steps_per_execution=batches_in_a_call, callbacks=callbacks)


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
        equivalent={},  # both loops compute the same without further options
        changes=CHANGES,
    )
]
"""Pairs of this module, found here by `loop-bench ladder` and `equivalence --every-rung`."""
