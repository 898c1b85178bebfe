"""Timing that waits for the device: a clock is read only when no work is in flight."""

from __future__ import annotations

import time

import tensorflow as tf

from bench.loop import TrainingLoop


def fence() -> None:
    """Returns when every device has done all that was queued on it."""
    tf.test.experimental.sync_devices()


def seconds_for(loop: TrainingLoop, batches: int) -> float:
    """Wall-clock seconds in which `loop` trains `batches`, from an idle device to an idle device.

    The host's time around a step that only enqueues work would be another quantity, and a smaller one.
    """
    fence()
    started = time.perf_counter()
    loop.run(batches)
    fence()
    return time.perf_counter() - started
