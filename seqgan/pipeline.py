"""An input pipeline as a competent first version has it: gathered on the host, fetched ahead of time."""

from __future__ import annotations

import tensorflow as tf

from seqgan.config import Config
from seqgan.dataset import Dataset


def batches(config: Config, data: Dataset, first: int) -> tf.data.Dataset:
    """Real lines [B, T], character [B] and scene [B] of batch `first` and of all that come after it, without end."""
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
