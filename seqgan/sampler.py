"""Drawing one token for each line of a batch from its logits, and random numbers that XLA does not change."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import tensorflow as tf

Sampler = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(logits [B, V] float32, seed [2] int32) -> tokens [B] int32, distributed as softmax(logits)."""

Numbers = Callable[[tuple[int, ...], tf.Tensor], tf.Tensor]
"""(shape, seed [2] int32) -> float32 of that shape, uniform in (0, 1)."""


def uniforms(shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """Numbers drawn uniformly from the open interval (0, 1).

    `tf.random.stateless_uniform` of floats gives other numbers under `jit_compile=True` than without it;
    its unsigned integers are the same bits in both, so the floats are made from those here. 23 bits and not
    24: (2**24 - 1) + 0.5 is not a float32 and would round the largest of them up to 1.

    Args:
        shape: of the result.
        seed: [2] integers; the same seed gives the same numbers.

    Returns:
        float32 of `shape`.
    """
    bits = tf.random.stateless_uniform(shape, seed, minval=None, maxval=None, dtype=tf.uint32)
    whole = tf.cast(tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32)), tf.float32)
    return (whole + 0.5) * 2.0**-23


def draw_seed(seed: int | tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """The seed [2] int32 of draw number `draw` in a run seeded with `seed`.

    Args:
        seed: a tensor (scalar int32) where a compiled graph should not be another one for each seed.
        draw: scalar integer.
    """
    return tf.stack([tf.convert_to_tensor(seed & 0x7FFFFFFF, tf.int32), tf.cast(draw, tf.int32)])


def categorical(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """TensorFlow's own sampler: what a loop uses whose author did not measure it."""
    return tf.random.stateless_categorical(logits, 1, seed, dtype=tf.int32)[:, 0]


def inverse_cdf(logits: tf.Tensor, seed: tf.Tensor, numbers: Numbers = uniforms) -> tf.Tensor:
    """Inversion in two levels: one uniform a line finds a block of tokens by the blocks' sums, then a token.

    It needs one exponential a token and no logarithm or random number for each, and scans about sqrt(V) numbers
    twice instead of V once; the method is Devroye, Non-Uniform Random Variate Generation (1986), III.2.
    Its draws do not depend on XLA but for the rounding of the sums.
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
    """exp(logit - largest logit), [B, V]: proportional to the probabilities, and never above 1."""
    return tf.exp(logits - tf.reduce_max(logits, axis=-1, keepdims=True))


def total_weight(weights: tf.Tensor) -> tf.Tensor:
    """The sum [B] of weights [B, V], added up as `inverse_cdf` does, so that a compiler does it once for both."""
    return _upto_each_block(weights)[:, -1]


def _upto_each_block(weights: tf.Tensor) -> tf.Tensor:
    """The sum of the weights [B, V] of each block and those before it, [B, blocks]."""
    return tf.cumsum(_block_sums(weights, _blocks(weights.shape[-1])), axis=-1)


def _blocks(size: int) -> int:
    """Into how many blocks to divide `size` tokens: about its square root, and a divisor if there is one near it."""
    root = math.isqrt(size - 1) + 1
    return next((count for count in range(root, 2 * root) if size % count == 0), root)


def _block_sums(weights: tf.Tensor, blocks: int) -> tf.Tensor:
    """Sums of the weights [B, V] of every n-th token, [B, n]: block k has tokens k, k + n, k + 2n, ...

    Blocks of neighbours would do as well; but then each sum runs along a row, and XLA on a CPU adds one number at a
    time. For the same reason it is not the weights that are padded to a multiple of n: it would take three times as
    long for the padded array.
    """
    batch, size = weights.shape
    whole, rest = divmod(size, blocks)
    sums = tf.reduce_sum(tf.reshape(weights[:, : size - rest], [batch, whole, blocks]), axis=1)
    return sums + tf.pad(weights[:, size - rest :], [[0, 0], [0, blocks - rest]]) if rest else sums


def _first_above(cumulative: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """The first position [B] whose cumulative weight [B, n] exceeds `target` [B].

    The target is held below the last sum, so that rounding can never choose a position of weight zero.
    """
    below_end = tf.minimum(tf.maximum(target, 0.0), cumulative[:, -1] * (1 - 2.0**-24))
    return tf.reduce_sum(tf.cast(cumulative <= below_end[:, None], tf.int32), axis=-1)


BY_NAME: dict[str, Sampler] = {"categorical": categorical, "inverse_cdf": inverse_cdf}


def for_rows(name: str, index: int, count: int, lines: int) -> Sampler:
    """The sampler of a name for the rows of one replica.

    Args:
        name: a key of BY_NAME.
        index: of the replica.
        count: of replicas.
        lines: of a batch that each of them has; what is drawn at once are so many rows, or a multiple of them.

    Returns:
        Of `inverse_cdf`, a sampler of the tokens that it would draw for these rows among all: each replica draws the
        numbers of all rows, which are one a row. Of any other, one whose seed has the index folded in.
    """
    if name == "inverse_cdf":
        numbers = functools.partial(_uniforms_of_rows, index, count, lines)
        return functools.partial(inverse_cdf, numbers=numbers)
    return lambda logits, seed: BY_NAME[name](logits, tf.random.experimental.stateless_fold_in(seed, index))


def _uniforms_of_rows(index: int, count: int, lines: int, shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """The replica's [rows] of the numbers for all rows: of several batches at once, its lines of each."""
    (rows,) = shape
    of_all = tf.reshape(uniforms((count * rows,), seed), [-1, count, lines])
    return tf.reshape(of_all[:, index], [rows])
