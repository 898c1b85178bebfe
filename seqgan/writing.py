"""New lines from a trained generator."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from seqgan import sampler
from seqgan.checkpoint import Checkpoint
from seqgan.networks import Networks
from seqgan.vocabulary import UNKNOWN, Sizes


def write_lines(
    checkpoint: Checkpoint, character: str, scene: str, count: int, temperature: float, seed: int
) -> list[str]:
    """`count` lines that `character` might say in `scene`.

    Args:
        checkpoint: of a training run.
        character: a name that the script has; a number for synthetic lines.
        scene: likewise.
        count: of lines.
        temperature: below 1 likelier words, above 1 more surprising ones.
        seed: the same gives the same lines.

    Raises:
        InputError: a character or scene that the checkpoint does not know.
    """
    vocabulary = checkpoint.vocabulary
    conditions = vocabulary.character_id(character), vocabulary.scene_id(scene)
    networks = Networks(checkpoint.config, Sizes.of(vocabulary))
    checkpoint.restore(networks.weights)
    draw = _without_unknown if vocabulary.ends else sampler.inverse_cdf
    who, where = (tf.fill([count], index) for index in conditions)
    generate = tf.function(networks.generator.sample)
    tokens = generate(draw, who, where, tf.constant(temperature, tf.float32), seed, tf.constant(0))
    return [vocabulary.decode(line) for line in np.asarray(tokens)]


def _without_unknown(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """No line that someone is to read should say `<unknown>`."""
    return sampler.inverse_cdf(logits + tf.one_hot(UNKNOWN, logits.shape[-1], on_value=-1e9, off_value=0.0), seed)
