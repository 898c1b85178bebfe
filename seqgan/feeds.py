"""Sources of batches for graph calls: an input pipeline, or lines that are resident on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.dataset import Dataset
from loop_bench.seqgan.replicas import Replicas

Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Real lines [B, T], character [B] and scene [B], int32 each."""


class Feed(Protocol):
    """A source of a run's batches, in order."""

    @property
    def spec(self) -> Any:
        """Tensor specs of a stretch, for the signature of a graph; the number of batches is left open."""

    def stretch(self, first: int, count: int) -> Any:
        """Tensors or arrays for `count` consecutive batches of one epoch, from batch `first`; called in order."""

    def batch(self, stretch: Any, index: tf.Tensor | int) -> Batch:
        """One batch of a stretch, in a graph or outside."""


Rows = Callable[[Any], Any]
"""Selects rows of a batch's tensor [B, ...]."""


def _all_rows(values: Any) -> Any:
    return values


class ResidentFeed:
    """Keeps all lines on the device, so that a batch is a gather there instead of a copy to the device.

    Args:
        config: config of the run.
        data: the lines.
        rows: selects the rows that `batch` returns; stretches contain whole batches.
    """

    def __init__(self, config: Config, data: Dataset, rows: Rows = _all_rows) -> None:
        self._rows = rows
        self._config = config
        self._data = data
        self._epoch: int | None = None
        self._order = np.empty((0, config.batch_size), np.int32)  # row numbers of the epoch, [batches, B]
        # int64, because TensorFlow keeps int32 constants on the host.
        self._lines = [tf.constant(values, tf.int64) for values in (data.tokens, data.character, data.scene)]

    @property
    def spec(self) -> tf.TensorSpec:
        """Row numbers [batches, B]."""
        return tf.TensorSpec([None, self._config.batch_size], tf.int32)

    def stretch(self, first: int, count: int) -> np.ndarray:
        """Row numbers [count, B] int32."""
        size = self._config.batch_size
        epoch, offset = divmod(first, self._data.batches_per_epoch(size))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._data.epoch_order(size, self._config.seed, epoch)
        return self._order[offset : offset + count]

    def batch(self, stretch: Any, index: tf.Tensor | int) -> Batch:
        """One batch, gathered on the device."""
        real, character, scene = (
            tf.cast(tf.gather(values, self._rows(stretch[index])), tf.int32) for values in self._lines
        )
        return real, character, scene


def batches(config: Config, data: Dataset, first: int) -> tf.data.Dataset:
    """Input pipeline as in a competent first version: batches gathered on the host and prefetched.

    Returns:
        Batch `first` and all later ones, without end: real lines [B, T], character [B] and scene [B].
    """
    batch_size, seed = config.batch_size, config.seed
    epoch, offset = divmod(first, data.batches_per_epoch(batch_size))
    lines = [tf.constant(values) for values in (data.tokens, data.character, data.scene)]

    def order(number: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(lambda n: data.epoch_order(batch_size, seed, int(n)), [number], tf.int32)
        return tf.ensure_shape(found, [None, batch_size])

    def gather(chosen: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(tf.gather(values, chosen) for values in lines)

    chosen = tf.data.Dataset.counter(epoch).map(order).unbatch().skip(offset)
    return chosen.map(gather, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


class PipelineFeed:
    """Takes batches from the input pipeline; has the arguments of `ResidentFeed`."""

    def __init__(self, config: Config, data: Dataset, rows: Rows = _all_rows) -> None:
        self._rows = rows
        self._config = config
        self._data = data
        self._batches: Any = None  # created at the first stretch

    @property
    def spec(self) -> tuple[tf.TensorSpec, ...]:
        """Real lines [batches, B, T], character [batches, B] and scene [batches, B]."""
        size, length = self._config.batch_size, self._config.sequence_length
        return tuple(tf.TensorSpec([None, *shape], tf.int32) for shape in ([size, length], [size], [size]))

    def stretch(self, first: int, count: int) -> tuple[tf.Tensor, ...]:
        """The next `count` batches, stacked."""
        if self._batches is None:
            self._batches = iter(batches(self._config, self._data, first))
        stretch = [next(self._batches) for _ in range(count)]
        return tuple(tf.stack(values) for values in zip(*stretch, strict=True))

    def batch(self, stretch: Any, index: tf.Tensor | int) -> Batch:
        """One batch, sliced from the stretch."""
        real, character, scene = (self._rows(values[index]) for values in stretch)
        return real, character, scene


BY_NAME: dict[str, Callable[[Config, Dataset, Rows], Feed]] = {"pipeline": PipelineFeed, "resident": ResidentFeed}


class SplitFeed:
    """Feeds several replicas, each of which takes its rows of a batch on its own device.

    Args:
        replicas: the replicas.
        feeds: feed of each replica.
    """

    def __init__(self, replicas: Replicas, feeds: Sequence[Feed]) -> None:
        self._replicas = replicas
        self._feeds = feeds

    @property
    def spec(self) -> Any:
        """See `Feed`."""
        return self._feeds[0].spec

    def stretch(self, first: int, count: int) -> Any:
        """See `Feed`; contains whole batches."""
        return self._feeds[0].stretch(first, count)

    def batch(self, stretch: Any, index: tf.Tensor | int) -> Batch:
        """See `Feed`; each tensor has a value for each replica."""
        return self._replicas.run(self._of_one, stretch, index)

    def _of_one(self, stretch: Any, index: tf.Tensor | int) -> Batch:
        return self._feeds[self._replicas.here].batch(stretch, index)
