"""How much lines share with lines of a script, and with one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Line = Sequence[Any]
"""The tokens of a line: words, or their ids."""

LONGEST = 4
"""Of the n-grams that are counted; each of 1 to 4 words weighs the same."""


def bleu(lines: Sequence[Line], references: Sequence[Line]) -> float:
    """Mean over `lines` of each one's BLEU against all `references` at once; 0 to 1, higher is nearer to them.

    As Texygen measures it (Zhu et al., Texygen: A Benchmarking Platform for Text Generation Models, 2018): sentence
    level, by NLTK, and where n-grams have no match method 1 of Chen and Cherry (2014), which counts a tenth of one.

    Raises:
        ValueError: no lines or no references.
    """
    return _mean([(line, references) for line in lines])


def self_bleu(lines: Sequence[Line]) -> float:
    """Mean over `lines` of each one's BLEU against all the others, never itself; lower is more diverse.

    Self-BLEU of Texygen; see `bleu`.

    Raises:
        ValueError: fewer than two lines.
    """
    return _mean([(line, [*lines[:index], *lines[index + 1 :]]) for index, line in enumerate(lines)])


def _mean(pairs: Sequence[tuple[Line, Sequence[Line]]]) -> float:
    if not pairs or not all(references for _, references in pairs):
        raise ValueError("needs lines, and references for each")
    from nltk.translate import bleu_score  # here, for it takes a second to import

    smooth, weights = bleu_score.SmoothingFunction().method1, [1 / LONGEST] * LONGEST
    scores = [bleu_score.sentence_bleu(references, line, weights, smooth) for line, references in pairs]
    return float(np.mean(scores))
