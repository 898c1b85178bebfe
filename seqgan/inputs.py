"""Ids that do not exist, kept out of the forward pass."""

from __future__ import annotations

import tensorflow as tf


def existing(ids: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Ids that an embedding of `count` rows can look up.

    Given an id that does not exist, `tf.gather` raises on a CPU, gives zeros on a GPU, and under XLA takes the
    nearest row, without a word in the last two cases.

    Args:
        ids: int32 of any shape.
        count: of ids that exist: 0 to count - 1.

    Returns:
        The ids with 0 in place of those that do not exist, and whether all of them exist: scalar bool.
    """
    # int64, because TensorFlow compares int32 on the host.
    wide = tf.cast(ids, tf.int64)
    exists = (wide >= 0) & (wide < count)
    return tf.where(exists, ids, 0), tf.reduce_all(exists)
