"""Random numbers that are the same with and without XLA."""

import tensorflow as tf


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
