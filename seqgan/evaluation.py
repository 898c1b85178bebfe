"""What a generator has learned, measured."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from seqgan import sampler
from seqgan.config import Config
from seqgan.dataset import Dataset
from seqgan.generator import Generator
from seqgan.oracle import Oracle

LINES = 512


def oracle_nll(config: Config, data: Dataset, generator: Generator) -> tuple[float, float]:
    """How likely the oracle holds lines of the generator to be, beside its own lines.

    NLL_oracle of section 5.1 of Yu et al., SeqGAN (2017), as a mean over tokens. The generator draws at
    temperature 1, that is from the distribution which it has learned.

    Returns:
        Nats a token, of the generator's lines and of the data's first lines for the same characters and scenes.
    """
    oracle = Oracle(config, config.seed)
    lines = slice(0, LINES)
    tokens, character, scene = data.tokens[lines], data.character[lines], data.scene[lines]
    generate = tf.function(generator.sample)
    seed = config.seed + 2  # neither the loops' draws nor those of pre-training
    written = generate(
        sampler.inverse_cdf, tf.constant(character), tf.constant(scene), tf.constant(1.0), seed, tf.constant(0)
    )
    return oracle.nll(np.asarray(written), character, scene), oracle.nll(tokens, character, scene)
