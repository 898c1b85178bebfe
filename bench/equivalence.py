"""Whether two loops compute the same thing: a speed-up of a loop that does something else is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench import work
from bench.loop import TrainingLoop, history
from bench.record import Equivalence

BATCHES = 25

MUST_AGREE = 3
"""Batches in which rounding is no excuse. Later, where bits have differed before, a rounding difference may have
flipped a random draw, after which two runs of one algorithm go different ways."""

TOLERANCE = 1e-3
"""Relative difference that rounding may make in MUST_AGREE batches: operations in another order give 1e-6 in each."""


def equivalence(before: TrainingLoop, after: TrainingLoop, options: Mapping[str, Any]) -> Equivalence:
    """Trains two fresh loops for BATCHES and compares the metrics that both have, and their weights.

    Args:
        before: built with `options`.
        after: built with them too.
        options: that leave nothing but how the algorithm is carried out to differ; for the record.
    """
    for loop in (before, after):
        loop.run(BATCHES)
    one, other = history(before), history(after)
    common = [name for name in one if name in other]
    if not common:
        return _found(options, False, f"no metric is common to both: {', '.join(one)}; {', '.join(other)}")
    if any(one[name].shape != other[name].shape for name in common):
        return _found(options, False, "the histories have different lengths")
    same_metrics = all(np.array_equal(one[name], other[name], equal_nan=True) for name in common)
    if same_metrics and _same_weights(before, after):
        return _found(options, True, f"bit for bit the same over {BATCHES} batches, metrics and weights")
    apart = {name: _first_apart(one[name], other[name]) for name in common}
    name = min(apart, key=lambda name: apart[name])
    if apart[name] >= BATCHES:
        if same_metrics or not _like_weights(before, after):
            return _found(options, False, "the metrics are the same, and the weights are not")
        return _found(options, True, f"metrics and weights are the same within {TOLERANCE:g} over {BATCHES} batches")
    where = f"{name} is {one[name][apart[name]]:.6g} and {other[name][apart[name]]:.6g} in batch {apart[name]}"
    rounded = any(not np.array_equal(one[each][: apart[name]], other[each][: apart[name]]) for each in common)
    if apart[name] >= MUST_AGREE and rounded:
        return _found(options, True, f"the same within {TOLERANCE:g} until rounding had its way: {where}")
    return _found(options, False, where)


def _same_weights(before: TrainingLoop, after: TrainingLoop) -> bool:
    one, other = (list(work.weights(loop).values()) for loop in (before, after))
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _like_weights(before: TrainingLoop, after: TrainingLoop) -> bool:
    one, other = (list(work.weights(loop).values()) for loop in (before, after))
    if [value.shape for value in one] != [value.shape for value in other]:
        return False
    # As far as the weights have come, and not element by element: near zero, rounding is all there is.
    return all(np.linalg.norm(a - b) <= TOLERANCE * np.linalg.norm(a) for a, b in zip(one, other, strict=True))


def _first_apart(one: np.ndarray, other: np.ndarray) -> int:
    """The first batch in which two metrics [batches] differ by more than rounding; BATCHES if there is none."""
    apart = ~np.isclose(one, other, rtol=TOLERANCE, atol=1e-6, equal_nan=True)
    return int(np.argmax(apart)) if apart.any() else BATCHES


def _found(options: Mapping[str, Any], equal: bool, reason: str) -> Equivalence:
    return Equivalence(batches=BATCHES, options=dict(options), equal=equal, reason=reason)
