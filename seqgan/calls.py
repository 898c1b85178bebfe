"""Ways to train batches by graph calls, and ways to read the metrics of the calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from loop_bench.seqgan import device
from loop_bench.seqgan.feeds import Feed

HISTORY_KEYS = ("g_loss", "d_loss", "d_accuracy", "g_reward")
"""Names of the metrics of a batch, in the order of the columns of its row."""

TrainBatch = Callable[..., tf.Tensor]
"""(real [B, T], character [B], scene [B], temperature scalar, number of the batch) -> its row [columns] float32."""


class Calls(Protocol):
    """A way to train a stretch of consecutive batches."""

    most: int
    """Most batches in one call."""

    def __call__(self, stretch: Any, temperature: float, first: int) -> tf.Tensor:
        """Trains batches `first`, `first` + 1, ... of a stretch; returns their rows, [batches, columns] float32.

        Further rows may follow, which have no meaning.
        """


class ThreeCalls:
    """Trains a batch by three graph calls from Python: draw lines, train the discriminator, train the generator."""

    most = 1

    def __init__(self, train_batch: TrainBatch, feed: Feed, window: int, compiled: bool) -> None:
        del window, compiled  # no graph of its own
        self._train_batch = train_batch
        self._feed = feed

    def __call__(self, stretch: Any, temperature: float, first: int) -> tf.Tensor:
        """See `Calls`."""
        return self._train_batch(*self._feed.batch(stretch, 0), tf.constant(temperature), first)[None]


class OneCall:
    """Trains a batch by one graph call."""

    most = 1

    def __init__(self, train_batch: TrainBatch, feed: Feed, window: int, compiled: bool) -> None:
        del window

        def train(stretch: Any, temperature: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
            return train_batch(*feed.batch(stretch, 0), temperature, first)

        self._train = tf.function(train, jit_compile=compiled, autograph=False)

    def __call__(self, stretch: Any, temperature: float, first: int) -> tf.Tensor:
        """See `Calls`."""
        return self._train(stretch, tf.constant(temperature), tf.constant(first))[None]


class Window:
    """Trains a window of batches by one graph call.

    On a CPU, XLA compiles the whole window, because starting a program there costs as much as many small operations.
    On a GPU, XLA compiles a batch and TensorFlow's executor loops over the batches: an XLA loop whose number of
    iterations is an argument reads its condition back from the device in each iteration.
    """

    def __init__(self, train_batch: TrainBatch, feed: Feed, window: int, compiled: bool) -> None:
        self.most = window
        self._whole = compiled and not device.on_gpu()
        graph = functools.partial(tf.function, autograph=False)
        self._train_batch = train_batch if self._whole else graph(train_batch, jit_compile=compiled)
        self._feed = feed
        signature = [feed.spec, *(tf.TensorSpec([], dtype) for dtype in (tf.int32, tf.float32, tf.int32))]
        self._train = graph(self._train_batches, input_signature=signature, jit_compile=self._whole)

    def __call__(self, stretch: Any, temperature: float, first: int) -> tf.Tensor:
        """See `Calls`."""
        count = len(tf.nest.flatten(stretch)[0])
        if self._whole and count < self.most:
            stretch = tf.nest.map_structure(self._filled, stretch)
        stretch = tf.nest.map_structure(tf.convert_to_tensor, stretch)
        return self._graph(stretch, tf.constant(count), tf.constant(temperature), tf.constant(first))

    @functools.cached_property
    def _graph(self) -> Callable[..., tf.Tensor]:
        """The only graph of the window; looking it up through the `tf.function` would take a millisecond per call."""
        graph: Callable[..., tf.Tensor] = self._train.get_concrete_function()
        return graph

    def _filled(self, values: Any) -> Any:
        """Pads a stretch to the length of a window, because XLA compiles a program for each size of its input.

        The padding is zeros, which are not trained on.
        """
        pad = np.pad if isinstance(values, np.ndarray) else tf.pad  # pad an array on the host without the device
        return pad(values, [[0, self.most - len(values)], *[[0, 0]] * (len(values.shape) - 1)])

    def _train_batches(self, stretch: Any, count: tf.Tensor, temperature: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        def body(index: tf.Tensor, rows: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            row = self._train_batch(*self._feed.batch(stretch, index), temperature, first + index)
            return index + 1, rows.write(index, row)

        size = self.most if self._whole else count  # XLA must know it
        start = (tf.constant(0), tf.TensorArray(tf.float32, size=size))
        _, rows = tf.while_loop(lambda index, rows: index < count, body, start)
        return rows.stack()


BY_NAME: dict[str, Callable[[TrainBatch, Feed, int, bool], Calls]] = {
    "three": ThreeCalls,
    "one": OneCall,
    "window": Window,
}


class DeferredMetrics:
    """Keeps metrics [batches, columns] on the device in blocks, and reads them late and in bulk.

    A read waits for all work that was queued before the value. Reading only blocks behind which later work is
    already queued keeps the device busy during the read.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._on_device: list[tuple[tf.Tensor, int]] = []
        self._on_host: list[np.ndarray] = []

    def append(self, block: tf.Tensor, count: int) -> None:
        """Keeps the first `count` rows of a block [batches, columns] float32 that may still be being computed."""
        self._on_device.append((block, count))

    def read(self, leave: int = 0) -> None:
        """Moves all but the `leave` newest blocks to the host, in one read."""
        ready = self._on_device[: len(self._on_device) - leave]
        if ready:
            meant = np.concatenate([np.arange(len(block)) < count for block, count in ready])
            self._on_host.append(tf.concat([block for block, _ in ready], axis=0).numpy()[meant])
            del self._on_device[: len(ready)]

    def rows(self) -> np.ndarray:
        """All rows that have been read so far, [batches, columns] float32."""
        return np.concatenate([np.empty((0, self._columns), np.float32), *self._on_host])


class ImmediateMetrics(DeferredMetrics):
    """Reads metrics as soon as they are appended, which waits for each graph call."""

    def append(self, block: tf.Tensor, count: int) -> None:
        """Reads a block [batches, columns] float32."""
        super().append(block, count)
        self.read()


def last_row(rows: np.ndarray) -> dict[str, float]:
    """Metrics of the last of `rows` [batches, columns] by name; empty if there are no rows."""
    return dict(zip(HISTORY_KEYS, rows[-1].tolist(), strict=False)) if len(rows) else {}


METRICS_BY_NAME = {"each_call": ImmediateMetrics, "deferred": DeferredMetrics}
