"""The two networks with their optimizers, and the generation of lines from a checkpoint."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loop_bench.seqgan import sampler
from loop_bench.seqgan.checkpoint import Checkpoint
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.discriminator import Discriminator
from loop_bench.seqgan.generator import Generator
from loop_bench.seqgan.tracing import begin_numbering
from loop_bench.seqgan.vocabulary import UNKNOWN, Sizes


class Networks:
    """Generator, discriminator and one Adam optimizer for each objective, initialised from the config's seed.

    Attributes:
        generator, discriminator: built Keras models.
        mle_optimizer, g_optimizer: optimizers of the generator for pre-training and for adversarial training.
        d_optimizer: optimizer of the discriminator.
    """

    def __init__(self, config: Config, sizes: Sizes) -> None:
        g_seed, d_seed = np.random.SeedSequence(config.seed).generate_state(2).tolist()
        self.generator = Generator(config, sizes, g_seed)
        self.discriminator = Discriminator(config, sizes, d_seed)
        self.mle_optimizer = _adam(config.mle_learning_rate, "mle_adam", self.generator)
        self.g_optimizer = _adam(config.g_learning_rate, "generator_adam", self.generator)
        self.d_optimizer = _adam(config.d_learning_rate, "discriminator_adam", self.discriminator)
        begin_numbering()

    @property
    def weights(self) -> list[keras.Variable]:
        """Trainable weights of both networks."""
        return [*self.generator.trainable_variables, *self.discriminator.trainable_variables]

    @property
    def adversarial_variables(self) -> list[keras.Variable]:
        """Weights and optimizer state that adversarial training changes."""
        return [*self.weights, *self.g_optimizer.variables, *self.d_optimizer.variables]

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables that a checkpoint contains."""
        return [*self.adversarial_variables, *self.mle_optimizer.variables]


def write_lines(
    checkpoint: Checkpoint, character: str, scene: str, count: int, temperature: float, seed: int
) -> list[str]:
    """Generates lines that `character` might say in `scene`.

    Args:
        checkpoint: checkpoint of a training run.
        character: name of a character in the script; a number for synthetic lines.
        scene: name of a scene in the script; a number for synthetic lines.
        count: number of lines.
        temperature: below 1 likelier words, above 1 more surprising words.
        seed: the same seed gives the same lines.

    Raises:
        InputError: a character or scene that the checkpoint does not know.
    """
    vocabulary = checkpoint.vocabulary
    conditions = vocabulary.character_id(character), vocabulary.scene_id(scene)
    networks = Networks(checkpoint.config, Sizes.of(vocabulary))
    checkpoint.restore(networks.weights)
    draw = _without_unknown if vocabulary.ends else sampler.inverse_cdf
    who, where = (tf.fill([count], index) for index in conditions)
    generate = tf.function(networks.generator.sample, autograph=False)
    tokens = generate(draw, who, where, tf.constant(temperature, tf.float32), seed, tf.constant(0))
    return [vocabulary.decode(line) for line in np.asarray(tokens)]


def _without_unknown(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Sampler for lines to read: draws no `<unknown>`."""
    return sampler.inverse_cdf(logits + tf.one_hot(UNKNOWN, logits.shape[-1], on_value=-1e9, off_value=0.0), seed)


def _adam(learning_rate: float, name: str, network: Any) -> keras.optimizers.Adam:
    optimizer = keras.optimizers.Adam(learning_rate, name=name)
    optimizer.build(network.trainable_variables)
    return optimizer
