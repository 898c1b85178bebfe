"""Samplers that draw one token per line from logits, and random numbers that are the same with and without XLA."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import tensorflow as tf

Sampler = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Function of logits [B, V] float32 and a seed [2] int32 that draws tokens [B] int32 from softmax(logits)."""

Numbers = Callable[[tuple[int, ...], tf.Tensor], tf.Tensor]
"""Function of a shape and a seed [2] int32 that draws float32 numbers of that shape, uniform in (0, 1)."""


def uniforms(shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """Draws numbers uniformly from the open interval (0, 1).

    `tf.random.stateless_uniform` of floats gives different numbers with and without `jit_compile=True`; its unsigned
    integers are the same in both, so the floats are made from those here. From 23 bits and not 24, because
    (2**24 - 1) + 0.5 is not a float32 and would round the largest number up to 1.

    Args:
        shape: shape of the result.
        seed: [2] integers; the same seed gives the same numbers.

    Returns:
        float32 of `shape`.
    """
    bits = tf.random.stateless_uniform(shape, seed, minval=None, maxval=None, dtype=tf.uint32)
    whole = tf.cast(tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32)), tf.float32)
    return (whole + 0.5) * 2.0**-23


def draw_seed(seed: int | tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Seed [2] int32 of draw number `draw` in a run seeded with `seed`.

    Args:
        seed: seed of the run; a tensor (scalar int32) to use one compiled graph for all seeds.
        draw: scalar integer.
    """
    return tf.stack([tf.convert_to_tensor(seed & 0x7FFFFFFF, tf.int32), tf.cast(draw, tf.int32)])


def categorical(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """TensorFlow's own sampler, the obvious choice without measurement."""
    return tf.random.stateless_categorical(logits, 1, seed, dtype=tf.int32)[:, 0]


def inverse_cdf(logits: tf.Tensor, seed: tf.Tensor, numbers: Numbers = uniforms) -> tf.Tensor:
    """Sampler by two-level inversion: one uniform number per line selects a block of tokens, then a token in it.

    It needs one exponential per token, but no logarithm or random number per token, and scans about sqrt(V) numbers
    twice instead of V once; the method is from Devroye, Non-Uniform Random Variate Generation (1986), III.2.
    Its draws are the same with and without XLA except for rounding of the sums.
    """
    weights = relative_weights(logits)  # [B, V]
    batch, size = weights.shape
    upto = _upto_each_block(weights)
    blocks = upto.shape[-1]

    target = numbers((batch,), seed) * upto[:, -1]
    block = _first_above(upto, target)  # [B]
    before = tf.where(block > 0, tf.gather(upto, tf.maximum(block - 1, 0), batch_dims=1), 0.0)
    tokens = block[:, None] + blocks * tf.range(-(-size // blocks))  # of the block, [B, about sqrt(V)]
    found = tf.gather(weights, tf.minimum(tokens, size - 1), batch_dims=1)
    inside = tf.cumsum(tf.where(tokens < size, found, 0.0), axis=-1)
    return block + blocks * _first_above(inside, target - before)


def relative_weights(logits: tf.Tensor) -> tf.Tensor:
    """Weights exp(logit - largest logit), [B, V]: proportional to the probabilities, and at most 1."""
    return tf.exp(logits - tf.reduce_max(logits, axis=-1, keepdims=True))


def total_weight(weights: tf.Tensor) -> tf.Tensor:
    """Sum [B] of weights [B, V], computed as in `inverse_cdf`, so that a compiler computes it once for both."""
    return _upto_each_block(weights)[:, -1]


def _upto_each_block(weights: tf.Tensor) -> tf.Tensor:
    """Cumulative sums [B, blocks] of the blocks' weights [B, V]."""
    return tf.cumsum(_block_sums(weights, _blocks(weights.shape[-1])), axis=-1)


def _blocks(size: int) -> int:
    """Number of blocks for `size` tokens: about the square root of `size`, and a divisor if there is one near it."""
    root = math.isqrt(size - 1) + 1
    return next((count for count in range(root, 2 * root) if size % count == 0), root)


def _block_sums(weights: tf.Tensor, blocks: int) -> tf.Tensor:
    """Sums of the weights [B, V] of every n-th token, [B, n]: block k has tokens k, k + n, k + 2n, ...

    Blocks of neighbours would work too, but their sums would run along a row, where XLA on a CPU adds one number at a
    time. For the same reason the weights are not padded to a multiple of n: summing the padded array would take three
    times as long.
    """
    batch, size = weights.shape
    whole, rest = divmod(size, blocks)
    sums = tf.reduce_sum(tf.reshape(weights[:, : size - rest], [batch, whole, blocks]), axis=1)
    return sums + tf.pad(weights[:, size - rest :], [[0, 0], [0, blocks - rest]]) if rest else sums


def _first_above(cumulative: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """First position [B] whose cumulative weight [B, n] exceeds `target` [B].

    The target is kept below the last sum, so that rounding never selects a position of weight zero.
    """
    below_end = tf.minimum(tf.maximum(target, 0.0), cumulative[:, -1] * (1 - 2.0**-24))
    return tf.reduce_sum(tf.cast(cumulative <= below_end[:, None], tf.int32), axis=-1)


BY_NAME: dict[str, Sampler] = {"categorical": categorical, "inverse_cdf": inverse_cdf}


def for_rows(name: str, index: int, count: int, lines: int) -> Sampler:
    """Sampler for the rows of one replica.

    Args:
        name: a key of BY_NAME.
        index: index of the replica.
        count: number of replicas.
        lines: lines of a batch per replica; the sampler is called for this many rows, or a multiple.

    Returns:
        For `inverse_cdf`, a sampler that draws the same tokens for these rows as for the whole batch: each replica
        draws the random numbers of all rows, one per row. For other names, a sampler whose seed includes the index.
    """
    if name == "inverse_cdf":
        numbers = functools.partial(_uniforms_of_rows, index, count, lines)
        return functools.partial(inverse_cdf, numbers=numbers)
    return lambda logits, seed: BY_NAME[name](logits, tf.random.experimental.stateless_fold_in(seed, index))


def _uniforms_of_rows(index: int, count: int, lines: int, shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """The replica's part [rows] of the random numbers for all rows: its lines of each of several batches."""
    (rows,) = shape
    of_all = tf.reshape(uniforms((count * rows,), seed), [-1, count, lines])
    return tf.reshape(of_all[:, index], [rows])
