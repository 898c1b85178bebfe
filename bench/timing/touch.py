"""The least time in which a device could train a batch: that of touching once each weight that moves."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from bench.loop import TrainingLoop
from bench.timing import clock
from bench.timing.work import Snapshot, weights

TIMES, REPEATS = 20, 11

DENSE = 0.99
"""Share of its elements that a few batches must move for a weight to count: of an embedding, an update may touch no
more than the rows that the batch needs."""


def touch_seconds(loop: TrainingLoop, before: Snapshot) -> float | None:
    """Seconds to add something to copies of the loop's weights, on the device of each; the least of REPEATS.

    An update reads its gradient and its weight and writes the weight, whatever else it does: a batch that takes
    less than this has not made one.

    Args:
        loop: that has trained a few batches.
        before: its weights before them.

    Returns:
        The time of touching all of them once; None if there is none that has moved as a whole.
    """
    now = weights(loop)
    dense = [name for name, value in now.items() if np.mean(value != before[name]) > DENSE]
    if not dense:
        return None
    trainable = dict(zip(now, (variable for variable in loop.variables if variable.trainable), strict=True))
    copies, gradients = [], []
    for name in dense:
        value = tf.convert_to_tensor(trainable[name])
        with tf.device(value.device):
            copies.append(tf.Variable(value))
            gradients.append(tf.zeros_like(value))

    @tf.function
    def touch() -> None:
        for _ in tf.range(TIMES):
            for copy, gradient in zip(copies, gradients, strict=True):
                copy.assign_add(gradient)

    durations = []
    for _ in range(1 + REPEATS):  # the first is traced
        clock.fence()
        started = time.perf_counter()
        touch()
        clock.fence()
        durations.append(time.perf_counter() - started)
    return min(durations[1:]) / TIMES
