"""Evaluation of a generator: by the oracle, on held-out lines, and by BLEU."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from loop_bench import extras
from loop_bench.seqgan import objectives, sampler
from loop_bench.seqgan.config import Config
from loop_bench.seqgan.dataset import Dataset
from loop_bench.seqgan.generator import Generator
from loop_bench.seqgan.oracle import Oracle
from loop_bench.seqgan.vocabulary import END

LINES = 512
"""Number of lines generated for an evaluation, for the characters and scenes of the data's first lines."""

BLEU_LINES = 128
"""Number of generated lines, from the first, that BLEU rates: each is compared with every reference."""

REFERENCES = 512
"""Most reference lines for BLEU."""

_LINES_PER_READ = 128
"""Held-out lines per forward pass: logits [128, T, V] for a script are 200 MB."""

# An arrow says which way is better, as in the tables of papers.
ORACLE_NLL = "oracle NLL (nats a token) ↓"
HELD_OUT_NLL = "held-out NLL (nats a token) ↓"
BLEU_HELD_OUT, BLEU_TRAINING = "BLEU-4 against held-out lines ↑", "BLEU-4 against training lines ↑"
SELF_BLEU = "self-BLEU-4 ↓"

Line = Sequence[Any]
"""Tokens of a line: words, or their ids."""

LONGEST = 4
"""Length of the longest n-grams that BLEU counts; all lengths from 1 have the same weight."""


class Evaluation:
    """Rates a generator at any moment of its training, without affecting the training.

    Lines are drawn at the config's evaluation temperature, whatever temperature the loop trains with, and with a seed
    of their own that is the same each time, so that only the generator changes between evaluations. A generator that
    trains at a higher temperature is sharper here than in training; one that trains at a lower temperature is less
    sharp.
    """

    def __init__(self, config: Config, data: Dataset, generator: Generator) -> None:
        self._config = config
        self._data = data
        self._generator = generator
        self._generate = tf.function(generator.sample, autograph=False)
        self._nll = tf.function(self._summed_nll, autograph=False)

    def now(self) -> dict[str, float]:
        """Current ratings by name, with an arrow for the better direction.

        For synthetic data: the oracle's NLL of generated lines. For a script: BLEU against held-out lines (if there
        are none, against training lines) and self-BLEU. For both: the NLL of held-out lines, if there are any. Oracle
        NLL and BLEU are also good for a generator that repeats a few likely lines; the other ratings reveal that.
        """
        found = {}
        if not self._data.sizes.ends:
            found[ORACLE_NLL] = self.oracle_nll()
        if self._data.held_out:
            found[HELD_OUT_NLL] = self.held_out_nll(self._data.held_out)
        if self._data.sizes.ends:
            found |= self.bleu()
        return found

    def oracle_nll(self) -> float:
        """NLL of generated lines under the oracle, in nats per token: NLL_oracle of Yu et al. (2017), section 5.1."""
        return self._oracle.nll(self.generate(), self._data.character[:LINES], self._data.scene[:LINES])

    def oracle_nll_of_data(self) -> float:
        """NLL of the oracle's own lines, the data's first ones, under the oracle: nats per token."""
        return self._oracle.nll(self._data.tokens[:LINES], self._data.character[:LINES], self._data.scene[:LINES])

    def held_out_nll(self, lines: Dataset) -> float:
        """NLL of lines under the generator, at temperature 1: nats per token."""
        sums = [self._nll(*batch) for batch in _batches(lines)]
        total, tokens = np.sum([[float(total), float(tokens)] for total, tokens in sums], axis=0)
        return float(total / tokens)

    def bleu(self) -> dict[str, float]:
        """BLEU against lines of the script, and self-BLEU; `<unknown>` counts as a word, END does not."""
        held_out = self._data.held_out
        references = _words((held_out or self._data).tokens[:REFERENCES])
        lines = _words(self.generate()[:BLEU_LINES])
        name = BLEU_HELD_OUT if held_out else BLEU_TRAINING
        return {name: bleu(lines, references), SELF_BLEU: self_bleu(lines)}

    def generate(self) -> np.ndarray:
        """Lines of the generator, [N, T] int32; the same lines as long as the generator does not change."""
        character, scene = (tf.constant(values[:LINES]) for values in (self._data.character, self._data.scene))
        temperature = tf.constant(self._config.evaluation_temperature, tf.float32)
        seed = self._config.seed + 2  # differs from the seeds of the loops and of pre-training
        drawn = self._generate(sampler.inverse_cdf, character, scene, temperature, seed, tf.constant(0))
        return np.asarray(drawn)

    @functools.cached_property
    def _oracle(self) -> Oracle:
        return Oracle(self._config, self._config.seed)

    def _summed_nll(self, tokens: tf.Tensor, character: tf.Tensor, scene: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sum of -log p over the tokens [B, T] of lines, and the number of tokens: scalars float32."""
        mask = objectives.line_mask(tokens, self._generator.sizes.ends)
        nll = objectives.token_nll(self._generator(tokens, character, scene), tokens)
        return tf.reduce_sum(nll * mask), tf.reduce_sum(mask)


def oracle_nll(config: Config, data: Dataset, generator: Generator) -> tuple[float, float]:
    """NLL of the generator's lines and of the oracle's own lines, both under the oracle.

    Returns:
        Nats per token of the generator's lines, and of the data's first lines for the same characters and scenes.
    """
    evaluation = Evaluation(config, data, generator)
    return evaluation.oracle_nll(), evaluation.oracle_nll_of_data()


def bleu(lines: Sequence[Line], references: Sequence[Line]) -> float:
    """Mean BLEU of lines, each against all references at once; from 0 to 1, higher is closer to the references.

    Computed as in Texygen (Zhu et al., Texygen: A Benchmarking Platform for Text Generation Models, 2018): at sentence
    level, by NLTK, with smoothing method 1 of Chen and Cherry (2014), which counts 0.1 for n-grams without a match.

    Raises:
        ValueError: no lines or no references.
    """
    return _mean([(line, references) for line in lines])


def self_bleu(lines: Sequence[Line]) -> float:
    """Mean BLEU of lines, each against all other lines; lower is more diverse.

    This is Texygen's self-BLEU; see `bleu`.

    Raises:
        ValueError: fewer than two lines.
    """
    return _mean([(line, [*lines[:index], *lines[index + 1 :]]) for index, line in enumerate(lines)])


def _mean(pairs: Sequence[tuple[Line, Sequence[Line]]]) -> float:
    if not pairs or not all(references for _, references in pairs):
        raise ValueError("needs lines, and references for each")
    extras.require("seqgan")
    from nltk.translate import bleu_score  # here, because it takes a second to import

    smooth, weights = bleu_score.SmoothingFunction().method1, [1 / LONGEST] * LONGEST
    scores = [bleu_score.sentence_bleu(references, line, weights, smooth) for line, references in pairs]
    return float(np.mean(scores))


def _batches(lines: Dataset) -> Iterator[tuple[tf.Tensor, ...]]:
    for first in range(0, len(lines.tokens), _LINES_PER_READ):
        rows = slice(first, first + _LINES_PER_READ)
        yield tuple(tf.constant(values[rows]) for values in (lines.tokens, lines.character, lines.scene))


def _words(tokens: np.ndarray) -> list[list[int]]:
    """Ids of each line of tokens [N, T], up to its END."""
    return [line[: line.index(END)] if END in line else line for line in tokens.tolist()]
