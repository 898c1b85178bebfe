"""Two loops batch by batch, each batch from the same state: what is left to differ is how one batch is computed.

Left to themselves, two runs of one algorithm go different ways as soon as rounding has flipped a random draw. Here the
second loop is given the first one's state before every batch, so that no difference grows, and a tolerance that is
meant for rounding holds to the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.loop import TrainingLoop, history, lines, variable_name
from bench.record import Lockstep

SCALE = 1e-6
"""Added to the size of a metric by which a difference is divided: near zero, rounding is all there is."""


def lockstep(first: TrainingLoop, second: TrainingLoop, batches: int) -> Lockstep | None:
    """Trains both, and looks at what each batch has done.

    Args:
        first: the loop whose state counts.
        second: is given it; state that only it has stays its own.
        batches: of each; both loops have trained equally many before.

    Returns:
        The differences; None where the second loop does not have all of the first one's variables.
    """
    pairs = _paired(first, second)
    if pairs is None:
        return None
    updates = []
    for _ in range(batches):
        before = [_value(own) for own, _ in pairs]
        for value, (_, others) in zip(before, pairs, strict=True):
            others.assign(value)
        first.run(1)
        second.run(1)
        moved = zip(before, pairs, strict=True)
        updates.append(max(_apart(start, _value(own), _value(others)) for start, (own, others) in moved))
    other = _other_lines(first, second, batches)
    return Lockstep(
        metrics=tuple(_metrics_apart(first, second, batches).tolist()),
        updates=tuple(updates),
        other_lines=None if other is None else tuple(np.sum(other, axis=1).tolist()),
        lines=0 if other is None else other.shape[1],
    )


def unequal(first: TrainingLoop, second: TrainingLoop) -> list[str]:
    """Names of the first loop's variables that the second one has with another value."""
    pairs = _paired(first, second) or []
    return [
        variable_name(own) for own, other in pairs if not np.array_equal(_value(own), _value(other), equal_nan=True)
    ]


def _paired(first: TrainingLoop, second: TrainingLoop) -> list[tuple[Any, Any]] | None:
    """Each variable of the first loop with its counterpart; None if one has none.

    By name, or, since Keras numbers the optimizers of a process, by their order.
    """
    own, others = list(first.variables), list(second.variables)
    named = {variable_name(variable): variable for variable in others}
    found = [(variable, named.get(variable_name(variable))) for variable in own]
    if any(other is None for _, other in found) and len(own) == len(others):
        found = list(zip(own, others, strict=True))
    fits = all(other is not None and (other.shape, other.dtype) == (mine.shape, mine.dtype) for mine, other in found)
    return found if fits else None


def _value(variable: Any) -> np.ndarray:
    return np.array(variable.numpy())


def _apart(before: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """How far two updates of a variable differ, as a share of the first, by their Euclidean norms."""
    if np.array_equal(one, other):
        return 0.0
    size = np.linalg.norm((one - before).astype(float))
    return float(np.linalg.norm((other - one).astype(float)) / size) if size else float("inf")


def _metrics_apart(first: TrainingLoop, second: TrainingLoop, batches: int) -> np.ndarray:
    """How far the metrics of each of the last batches differ, as a share of their size, the most of any: [batches]."""
    one, other = ({name: values[-batches:] for name, values in history(loop).items()} for loop in (first, second))
    apart = [np.abs(one[name] - other[name]) / (np.abs(one[name]) + SCALE) for name in one if name in other]
    # Not a number in both is the same; in one of them it is as far apart as can be.
    both = [np.isnan(one[name]) & np.isnan(other[name]) for name in one if name in other]
    found = [np.where(same, 0.0, np.nan_to_num(far, nan=np.inf)) for far, same in zip(apart, both, strict=True)]
    most: np.ndarray = np.max(found, axis=0)
    return most


def _other_lines(first: TrainingLoop, second: TrainingLoop, batches: int) -> np.ndarray | None:
    """Which lines of the last batches are others, [batches, lines] bool; None where a loop does not say."""
    one, other = lines(first), lines(second)
    if one is None or other is None:
        return None
    differ: np.ndarray = np.any((one != other).reshape(*one.shape[:2], -1), axis=2)
    return differ[-batches:]
