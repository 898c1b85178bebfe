"""Trains two loops in lockstep: one or two batches at a time, each time from the same state.

Independent runs of one algorithm diverge as soon as rounding flips a random draw. In lockstep the second loop receives
the first one's state before every stretch, so that differences do not grow, and a tolerance for rounding holds to the
end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loop_bench.experiments.equivalence.record import Lockstep
from loop_bench.experiments.equivalence.side import Side, Variable
from loop_bench.variables import distance

SCALE = 1e-2
"""Added to a metric's size in relative differences: a loss near zero is the logarithm of a probability near one, and
is only as accurate as that probability."""


def lockstep(first: Side, second: Side, stretches: Sequence[int]) -> Lockstep | None:
    """Trains both loops in lockstep, and measures their differences after each stretch.

    Args:
        first: the loop whose state both start from.
        second: the other loop; variables that only it has keep their values.
        stretches: batches of each stretch; both loops have trained equally many batches before.

    Returns:
        The differences; None: the second loop lacks variables of the first one.
    """
    pairs = _paired(first, second)
    if pairs is None:
        return None
    of_first, of_second = (list(indices) for indices in zip(*pairs, strict=True))
    sizes, distances, before = [], [], first.values(of_first)
    for length in stretches:
        second.assign(of_second, before)
        first.run(length)
        second.run(length)
        after = first.values(of_first)
        sizes.append([distance(*values) for values in zip(before, after, strict=True)])
        distances.append([_distance(*values) for values in zip(after, second.values(of_second), strict=True)])
        before = after
    starts = np.cumsum([0, *stretches[:-1]])
    metrics = _metric_differences(first, second, sum(stretches))
    differing = _differing_lines(first, second, sum(stretches))
    return Lockstep(
        lengths=tuple(stretches),
        metrics=tuple(np.maximum.reduceat(metrics, starts).tolist()),
        updates=tuple(np.max(_shares(np.array(distances), np.array(sizes)), axis=1).tolist()),
        other_lines=None if differing is None else tuple(np.add.reduceat(np.sum(differing, axis=1), starts).tolist()),
        lines=0 if differing is None else differing.shape[1],
    )


def unequal(first: Side, second: Side) -> list[str]:
    """Names of the first loop's variables whose values differ from the second one's."""
    pairs = _paired(first, second)
    if not pairs:
        return []
    of_first, of_second = (list(indices) for indices in zip(*pairs, strict=True))
    names = [name for name, *_ in first.variables()]
    values = zip(of_first, first.values(of_first), second.values(of_second), strict=True)
    return [names[index] for index, one, other in values if not np.array_equal(one, other, equal_nan=True)]


def _paired(first: Side, second: Side) -> list[tuple[int, int]] | None:
    """The indices of each variable of the first loop and of its counterpart; None: one has no counterpart.

    Variables are paired by name, or by their order if names are ambiguous: Keras numbers the optimizers of a process,
    and plain variables may all have the same name.
    """
    of_first, of_second = first.variables(), second.variables()
    indices = {name: index for index, (name, *_) in enumerate(of_second)}
    counterparts = [indices.get(name) for name, *_ in of_first]
    ambiguous = len(indices) < len(of_second) or len({name for name, *_ in of_first}) < len(of_first)
    if len(of_first) == len(of_second) and (ambiguous or None in counterparts):
        counterparts = [*range(len(of_second))]
    elif ambiguous:
        return None
    pairs = [(one, other) for one, other in enumerate(counterparts) if other is not None]
    complete = len(pairs) == len(of_first)
    return pairs if complete and all(_kind(of_first[one]) == _kind(of_second[other]) for one, other in pairs) else None


def _kind(variable: Variable) -> tuple[list[int], str]:
    _, shape, dtype, _ = variable
    return [*shape], dtype


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """The distance of two values of a variable; NaN or infinite if only one of them is."""
    return 0.0 if np.array_equal(one, other, equal_nan=True) else distance(one, other)


def _shares(distances: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Differences of updates relative to their size, or to the variable's usual update if that is larger; never NaN.

    An update that is far smaller than usual for its variable is the small difference of large terms, and no more
    accurate than those: the gradient of a bias is a sum of p - y, whose terms sometimes cancel to a thousandth.

    Args:
        distances: [stretches, variables], distance between the values of both loops.
        sizes: [stretches, variables], size of the first loop's update.
    """
    usual = np.median(np.where(np.isfinite(sizes), sizes, 0.0), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(distances == 0, 0.0, distances / np.maximum(sizes, usual))
    return np.where(np.isfinite(shares), shares, np.inf)


def _metric_differences(first: Side, second: Side, batches: int) -> np.ndarray:
    """The largest relative difference of any metric in each of the last batches: [batches]."""
    one, other = ({name: values[-batches:] for name, values in side.history().items()} for side in (first, second))
    relative = [np.abs(one[name] - other[name]) / (np.abs(one[name]) + SCALE) for name in one if name in other]
    # NaN in both loops counts as equal, in only one of them as infinitely different.
    both_nan = [np.isnan(one[name]) & np.isnan(other[name]) for name in one if name in other]
    differences = [
        np.where(equal, 0.0, np.nan_to_num(difference, nan=np.inf))
        for difference, equal in zip(relative, both_nan, strict=True)
    ]
    largest: np.ndarray = np.max(differences, axis=0)
    return largest


def _differing_lines(first: Side, second: Side, batches: int) -> np.ndarray | None:
    """Which drawn lines of the last batches differ, [batches, lines] bool; None: a loop does not keep its draws."""
    one, other = first.lines(), second.lines()
    if one is None or other is None:
        return None
    count, width = len(one), one.shape[1] if one.ndim > 1 else 1
    if one.shape != other.shape:
        return np.ones([batches, width], bool)
    differ: np.ndarray = np.any((one != other).reshape(count, width, -1), axis=2)
    return differ[-batches:]
