"""Drawing one token for each line of a batch from its logits."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from seqgan.randomness import uniforms

Sampler = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(logits [B, V] float32, seed [2] int32) -> tokens [B] int32, distributed as softmax(logits)."""


def categorical(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """TensorFlow's own sampler: what a loop uses whose author did not measure it."""
    return tf.random.stateless_categorical(logits, 1, seed, dtype=tf.int32)[:, 0]


def inverse_cdf(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Inversion in two levels: one uniform a line finds a block of tokens by the blocks' sums, then a token.

    It needs one exponential a token and no logarithm or random number for each, and scans sqrt(V) numbers
    twice instead of V once; the method is Devroye, Non-Uniform Random Variate Generation (1986), III.2.
    Its draws do not depend on XLA but for the rounding of the sums.
    """
    batch, size = logits.shape
    width = math.isqrt(size - 1) + 1  # of a block; ceil(sqrt(V))
    blocks = -(-size // width)
    weights = tf.exp(logits - tf.reduce_max(logits, axis=-1, keepdims=True))  # [B, V]
    weights = tf.reshape(tf.pad(weights, [[0, 0], [0, blocks * width - size]]), [batch, blocks, width])
    upto = tf.cumsum(tf.reduce_sum(weights, axis=-1), axis=-1)  # [B, blocks]

    target = uniforms((batch,), seed) * upto[:, -1]
    block = _first_above(upto, target)  # [B]
    before = tf.where(block > 0, tf.gather(upto, tf.maximum(block - 1, 0), batch_dims=1), 0.0)
    inside = tf.cumsum(tf.gather(weights, block, batch_dims=1), axis=-1)  # [B, width]
    token = _first_above(inside, target - before)
    return block * width + token


def _first_above(cumulative: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """The first position [B] whose cumulative weight [B, n] exceeds `target` [B].

    The target is held below the last sum, so that rounding can never choose a position of weight zero.
    """
    below_end = tf.minimum(tf.maximum(target, 0.0), cumulative[:, -1] * (1 - 2.0**-24))
    return tf.reduce_sum(tf.cast(cumulative <= below_end[:, None], tf.int32), axis=-1)


BY_NAME: dict[str, Sampler] = {"categorical": categorical, "inverse_cdf": inverse_cdf}
