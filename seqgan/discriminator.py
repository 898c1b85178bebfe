"""Discriminator: a text CNN that distinguishes real from generated lines, and two ways to compute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from loop_bench.seqgan.config import Config
from loop_bench.seqgan.vocabulary import Sizes


class Discriminator(keras.Model):
    """Text CNN for p(real | line): Kim, Convolutional Neural Networks for Sentence Classification (2014)."""

    def __init__(self, config: Config, sizes: Sizes, seed: int, name: str = "discriminator") -> None:
        super().__init__(name=name)
        seeds = iter(np.random.SeedSequence(seed).generate_state(2 + len(config.filter_widths)).tolist())
        self.embedding = keras.layers.Embedding(
            sizes.vocabulary,
            config.embedding_size,
            embeddings_initializer=keras.initializers.RandomUniform(-0.05, 0.05, seed=next(seeds)),
            name="token_embedding",
        )
        self.convolutions = [
            keras.layers.Conv1D(
                config.filters,
                width,
                kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
                name=f"convolution_{width}",
            )
            for width in config.filter_widths
        ]
        self.output_layer = keras.layers.Dense(
            1,
            activation="sigmoid",
            kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
            name="output",
        )
        with keras.name_scope(name):  # names the weights `discriminator/...`, by which faults are injected
            self.embedding.build(None)
            for convolution in self.convolutions:
                convolution.build((None, config.sequence_length, config.embedding_size))
            self.output_layer.build((None, config.filters * len(config.filter_widths)))
        self.built = True

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """Tokens [B, T] int32 -> the probability [B] float32 that each line is real."""
        embedded = self.embedding(tokens)  # [B, T, E]
        # Max over time: whether an n-gram occurs, not where. The rectifier is monotonic, so it can come after the
        # maximum, on one number per line instead of one per place, which XLA takes half a second to compile.
        features = [tf.nn.relu(tf.reduce_max(convolution(embedded), axis=1)) for convolution in self.convolutions]
        return self.output_layer(tf.concat(features, axis=-1))[:, 0]


class Judge(Protocol):
    """A way to compute the discriminator."""

    @property
    def trainable_variables(self) -> Sequence[Any]:
        """Trainable variables of the discriminator."""

    def __call__(self, tokens: tf.Tensor) -> tf.Tensor:
        """Tokens [B, T] int32 -> the probability [B] float32 that each line is real."""


class OneProduct:
    """Computes all convolutions of the discriminator as one matrix product.

    A convolution of width w sums w products of an embedding with a slice of the kernel, one for each place in its
    window. Here each token is multiplied by the slices of all kernels at once, [B T, E] x [E, S F] with S the sum of
    the widths, and the products of each n-gram are summed afterwards. The gradient is two products instead of two
    convolutions per width. XLA on a CPU has no fast gradients of convolutions inside a loop (its pass
    ConvCanonicalization processes only the entry computation): in a window compiled as a whole they took half of the
    time at preset `paper`.

    The results are the same up to rounding.
    """

    def __init__(self, discriminator: Discriminator) -> None:
        self._discriminator = discriminator

    @property
    def trainable_variables(self) -> Sequence[Any]:
        """Trainable variables of the discriminator."""
        variables: Sequence[Any] = self._discriminator.trainable_variables
        return variables

    def __call__(self, tokens: tf.Tensor) -> tf.Tensor:
        """Tokens [B, T] int32 -> the probability [B] float32 that each line is real."""
        kernels = [tf.convert_to_tensor(each.kernel) for each in self._discriminator.convolutions]
        widths = [kernel.shape[0] for kernel in kernels]
        size, filters = kernels[0].shape[1:]
        slices = [tf.reshape(tf.transpose(kernel, [1, 0, 2]), [size, -1]) for kernel in kernels]
        embedded = self._discriminator.embedding(tokens)  # [B, T, E]
        product = tf.matmul(tf.reshape(embedded, [-1, size]), tf.concat(slices, axis=1))
        largest = _largest(tf.reshape(product, [*tokens.shape, sum(widths), filters]), widths)
        biases = tf.stack([tf.convert_to_tensor(each.bias) for each in self._discriminator.convolutions])
        features = tf.nn.relu(largest + biases)  # [B, widths, F]
        return self._discriminator.output_layer(tf.reshape(features, [tokens.shape[0], -1]))[:, 0]


def _largest(product: tf.Tensor, widths: Sequence[int]) -> tf.Tensor:
    """Largest value [B, widths, F] of each filter, given the products [B, T, S, F] of each token and slice.

    The gradient reaches only the largest n-gram of each width and filter: for each slice, the product at one token of
    that n-gram, which is a single `tf.where` over [B, T, S, F]. TensorFlow's own gradient slices, adds and pads once
    per slice, and divides the gradient among equal n-grams. Here the first of them gets all of it, which is the same
    for the weights, because equal n-grams have the same tokens.
    """
    of_width, offset = zip(*((number, at) for number, width in enumerate(widths) for at in range(width)), strict=True)

    @tf.custom_gradient
    def of(product: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        length = product.shape[1]
        parts = iter(tf.unstack(product, axis=2))  # [B, T, F] of each slice
        found = [
            tf.add_n([next(parts)[:, at : at + length - width + 1] for at in range(width)])  # [B, places, F]
            for width in widths
        ]
        largest = [tf.reduce_max(each, axis=1) for each in found]

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            begins = tf.stack([_first(each, most) for each, most in zip(found, largest, strict=True)], axis=1)
            token = tf.gather(begins, of_width, axis=1) + tf.constant(offset, product.dtype)[:, None]  # [B, S, F]
            moved = tf.gather(upstream, of_width, axis=1)
            tokens = tf.range(length, dtype=product.dtype)[:, None, None]
            return tf.where(tokens == token[:, None], moved[:, None], 0.0)

        return tf.stack(largest, axis=1), gradient

    found: tf.Tensor = of(product)
    return found


def _first(values: tf.Tensor, largest: tf.Tensor) -> tf.Tensor:
    """First place [B, F] of the largest value [B, F] in `values` [B, places, F].

    In float32, because TensorFlow keeps int32 on the host.
    """
    places = values.shape[1]
    found = tf.where(values == largest[:, None], tf.range(places, dtype=values.dtype)[:, None], places)
    return tf.reduce_min(found, axis=1)


BY_NAME: dict[str, Callable[[Discriminator], Judge]] = {
    "separate": lambda discriminator: discriminator,
    "one_product": OneProduct,
}
