"""The discriminator: a convolutional network that tells real lines from generated ones."""

from __future__ import annotations

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
                activation="relu",
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
        # Max over time: whether an n-gram occurs, not where.
        features = [tf.reduce_max(convolution(embedded), axis=1) for convolution in self.convolutions]
        return self.output_layer(tf.concat(features, axis=-1))[:, 0]
