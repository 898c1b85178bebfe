"""The two networks with their optimizers: everything that training changes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from seqgan.config import Config
from seqgan.discriminator import Discriminator
from seqgan.generator import Generator
from seqgan.vocabulary import Sizes


class Networks:
    """Generator, discriminator and one Adam for each objective, from the config's seed.

    Attributes:
        generator, discriminator: Keras models, built.
        mle_optimizer, g_optimizer: of the generator, while pre-training and while adversarial.
        d_optimizer: of the discriminator.
    """

    def __init__(self, config: Config, sizes: Sizes) -> None:
        g_seed, d_seed = np.random.SeedSequence(config.seed).generate_state(2).tolist()
        self.generator = Generator(config, sizes, g_seed)
        self.discriminator = Discriminator(config, sizes, d_seed)
        self.mle_optimizer = _adam(config.mle_learning_rate, "mle_adam", self.generator)
        self.g_optimizer = _adam(config.g_learning_rate, "generator_adam", self.generator)
        self.d_optimizer = _adam(config.d_learning_rate, "discriminator_adam", self.discriminator)

    @property
    def weights(self) -> list[keras.Variable]:
        """The weights of both networks."""
        return [*self.generator.trainable_variables, *self.discriminator.trainable_variables]

    @property
    def adversarial_variables(self) -> list[keras.Variable]:
        """Weights and optimizer state that adversarial training changes."""
        return [*self.weights, *self.g_optimizer.variables, *self.d_optimizer.variables]

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a checkpoint holds."""
        return [*self.adversarial_variables, *self.mle_optimizer.variables]


def _adam(learning_rate: float, name: str, network: Any) -> keras.optimizers.Adam:
    optimizer = keras.optimizers.Adam(learning_rate, name=name)
    optimizer.build(network.trainable_variables)
    return optimizer
