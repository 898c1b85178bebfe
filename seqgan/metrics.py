"""Metrics that stay on the device until someone needs them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

HISTORY_KEYS = ("g_loss", "d_loss", "d_accuracy", "g_reward")
"""One value a batch, in this order in the columns of a block."""


class DeferredMetrics:
    """Blocks of metrics [batches, columns] as the device produces them, read in bulk and late.

    A read waits for all the work that was queued before the value. Reading only blocks that later work has
    already been queued behind leaves the device something to do meanwhile.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._on_device: list[tf.Tensor] = []
        self._on_host: list[np.ndarray] = []

    def append(self, block: tf.Tensor) -> None:
        """Keeps a block [batches, columns] float32 that may still be being computed."""
        self._on_device.append(block)

    def read(self, leave: int = 0) -> None:
        """Moves all but the `leave` newest blocks to the host, in one read."""
        ready = self._on_device[: len(self._on_device) - leave]
        if ready:
            self._on_host.append(tf.concat(ready, axis=0).numpy())
            del self._on_device[: len(ready)]

    def rows(self) -> np.ndarray:
        """What has been read so far, [batches, columns] float32."""
        return np.concatenate([np.empty((0, self._columns), np.float32), *self._on_host])


class ImmediateMetrics(DeferredMetrics):
    """The same, read as soon as they are handed over: each graph call is waited for."""

    def append(self, block: tf.Tensor) -> None:
        """Reads a block [batches, columns] float32."""
        super().append(block)
        self.read()


BY_NAME = {"each_call": ImmediateMetrics, "deferred": DeferredMetrics}


def last_row(rows: np.ndarray) -> dict[str, float]:
    """The metrics of the last of `rows` [batches, columns] by name; empty when there is none."""
    return dict(zip(HISTORY_KEYS, rows[-1].tolist(), strict=False)) if len(rows) else {}
