"""Oracle: a known distribution of lines, against which a generator can be evaluated."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from loop_bench.seqgan import objectives, sampler
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.generator import Generator
from loop_bench.seqgan.vocabulary import Sizes

_DRAWS = 2**20
"""Draw numbers reserved for each stream, more than a stream ever uses."""


class Oracle:
    """A randomly initialised conditional LSTM that serves as the true distribution.

    As in section 5.1 of Yu et al., SeqGAN (2017), all its weights are drawn from N(0, 1). It provides both training
    lines without end and the exact negative log-likelihood of a generator's lines.
    """

    def __init__(self, config: Config, seed: int) -> None:
        self._config = config
        self._seed = seed
        sizes = Sizes(config.vocabulary_size, config.characters, config.scenes, ends=False)
        self._network = Generator(config, sizes, seed, name="oracle")
        random = np.random.default_rng(seed)
        for variable in self._network.trainable_variables:
            variable.assign(random.standard_normal(variable.shape).astype(np.float32))

    def lines(self, count: int, stream: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws `count` lines, each for a random character and scene.

        Args:
            count: number of lines.
            stream: number of an independent stream of lines.

        Returns:
            tokens [N, T], character [N] and scene [N], int32 each.
        """
        config = self._config
        random = np.random.default_rng([self._seed, count, *([stream] if stream else [])])
        character = random.integers(config.characters, size=count, dtype=np.int32)
        scene = random.integers(config.scenes, size=count, dtype=np.int32)
        batch = min(count, 256)
        draws = []
        for draw, start in enumerate(range(0, count, batch), start=stream * _DRAWS):
            chosen = np.arange(start, start + batch) % count  # the last batch is filled up, and cut below
            draws.append(self._sample(tf.constant(character[chosen]), tf.constant(scene[chosen]), tf.constant(draw)))
        return tf.concat(draws, axis=0).numpy()[:count], character, scene

    def nll(self, tokens: np.ndarray, character: np.ndarray, scene: np.ndarray) -> float:
        """Mean -log p of tokens under the oracle, in nats; lower is closer to the true distribution.

        (The paper reports the sum over the 20 tokens of a line: 20 times this.)

        Args:
            tokens: [N, T] int32, lines that a generator wrote.
            character: [N] int32.
            scene: [N] int32.
        """
        parts = [
            self._token_nll(*(tf.constant(values[start : start + 256]) for values in (tokens, character, scene)))
            for start in range(0, len(tokens), 256)
        ]
        return float(tf.reduce_mean(tf.concat(parts, axis=0)))

    @tf.function(reduce_retracing=False, autograph=False)
    def _sample(self, character: tf.Tensor, scene: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        return self._network.sample(sampler.inverse_cdf, character, scene, tf.constant(1.0), self._seed, draw)

    @tf.function(reduce_retracing=False, autograph=False)
    def _token_nll(self, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor) -> tf.Tensor:
        return objectives.token_nll(self._network(tokens, character, scene), tokens)
