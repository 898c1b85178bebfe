"""The discriminator: a text CNN that tells real lines from generated ones, and two ways to compute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from seqgan.config import Config
from seqgan.vocabulary import Sizes


class Discriminator(keras.Model):
    """p(real | line): Kim, Convolutional Neural Networks for Sentence Classification (2014)."""

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
        with keras.name_scope(name):  # the weights are then called `discriminator/...`, by which a fault finds them
            self.embedding.build(None)
            for convolution in self.convolutions:
                convolution.build((None, config.sequence_length, config.embedding_size))
            self.output_layer.build((None, config.filters * len(config.filter_widths)))
        self.built = True

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """Tokens [B, T] int32 -> the probability [B] float32 that each line is real."""
        embedded = self.embedding(tokens)  # [B, T, E]
        # Max over time: whether an n-gram occurs, not where. The rectifier, which keeps the order, comes after it, on a
        # number for each line and not for each place: XLA takes half a second to compile it for all places.
        features = [tf.nn.relu(tf.reduce_max(convolution(embedded), axis=1)) for convolution in self.convolutions]
        return self.output_layer(tf.concat(features, axis=-1))[:, 0]


class Judge(Protocol):
    """One way to compute the discriminator."""

    @property
    def trainable_variables(self) -> Sequence[Any]:
        """The discriminator's."""

    def __call__(self, tokens: tf.Tensor) -> tf.Tensor:
        """As `Discriminator.call`."""


class OneProduct:
    """The discriminator with all its convolutions as one matrix product.

    A convolution of width w adds up w products, one for each place of its window: of the embedding there with a slice
    of the kernel. Here each token is multiplied by the slices of all kernels at once, [B T, E] x [E, sum of w times F],
    and what belongs to one n-gram is added up afterwards. The gradient, too, is two products, in place of two
    convolutions for each width. XLA on a CPU has no fast gradients of convolutions inside a loop (its pass
    ConvCanonicalization looks at the entry computation alone): in a window that it compiles as one they took half
    of the time at preset `paper`.

    The sums are the same up to rounding.
    """

    def __init__(self, discriminator: Discriminator) -> None:
        self._discriminator = discriminator

    @property
    def trainable_variables(self) -> Sequence[Any]:
        """The discriminator's."""
        variables: Sequence[Any] = self._discriminator.trainable_variables
        return variables

    def __call__(self, tokens: tf.Tensor) -> tf.Tensor:
        """Tokens [B, T] int32 -> the probability [B] float32 that each line is real."""
        kernels = [tf.convert_to_tensor(each.kernel) for each in self._discriminator.convolutions]
        slices = tf.concat([part for kernel in kernels for part in tf.unstack(kernel)], axis=1)  # [E, slices F]
        embedded = self._discriminator.embedding(tokens)  # [B, T, E]
        size, filters = slices.shape[0], kernels[0].shape[-1]
        product = tf.matmul(tf.reshape(embedded, [-1, size]), slices)
        # Unstacked before they are cut, so that the gradient of the cuts is a pad for each and no sum over all of them.
        parts = iter(tf.unstack(tf.reshape(product, [*tokens.shape, -1, filters]), axis=2))  # [B, T, F] of each slice
        features = []
        for convolution in self._discriminator.convolutions:
            width = convolution.kernel.shape[0]
            places = tokens.shape[1] - width + 1
            found = tf.add_n([next(parts)[:, at : at + places] for at in range(width)])  # [B, places, F]
            features.append(tf.nn.relu(tf.reduce_max(found, axis=1) + tf.convert_to_tensor(convolution.bias)))
        return self._discriminator.output_layer(tf.concat(features, axis=-1))[:, 0]


BY_NAME: dict[str, Callable[[Discriminator], Judge]] = {
    "separate": lambda discriminator: discriminator,
    "one_product": OneProduct,
}
