"""Two loops a batch or two at a time, each time from the same state: what can differ is how a batch is computed.

Left to themselves, two runs of one algorithm go different ways as soon as rounding has flipped a random draw. Here the
second loop is given the first one's state before every stretch, so that no difference grows, and a tolerance that is
meant for rounding holds to the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loop_bench.experiments.equivalence.record import Lockstep
from loop_bench.experiments.equivalence.side import Side, Variable
from loop_bench.variables import distance

SCALE = 1e-2
"""Added to the size of a metric by which a difference is divided: a loss near zero is the logarithm of a probability
near one, and known no better than that is."""


def lockstep(first: Side, second: Side, stretches: Sequence[int]) -> Lockstep | None:
    """Trains both, and looks at what each stretch of batches has done.

    Args:
        first: the loop whose state counts.
        second: is given it; state that only it has stays its own.
        stretches: batches that are asked for at once; both loops have trained equally many before.

    Returns:
        The differences; None where the second loop does not have all of the first one's variables.
    """
    pairs = _paired(first, second)
    if pairs is None:
        return None
    own, others = (list(places) for places in zip(*pairs, strict=True))
    sizes, apart, before = [], [], first.values(own)
    for length in stretches:
        second.assign(others, before)
        first.run(length)
        second.run(length)
        after = first.values(own)
        sizes.append([distance(*values) for values in zip(before, after, strict=True)])
        apart.append([_apart(*values) for values in zip(after, second.values(others), strict=True)])
        before = after
    starts = np.cumsum([0, *stretches[:-1]])
    metrics, other = _metrics_apart(first, second, sum(stretches)), _other_lines(first, second, sum(stretches))
    return Lockstep(
        lengths=tuple(stretches),
        metrics=tuple(np.maximum.reduceat(metrics, starts).tolist()),
        updates=tuple(np.max(_shares(np.array(apart), np.array(sizes)), axis=1).tolist()),
        other_lines=None if other is None else tuple(np.add.reduceat(np.sum(other, axis=1), starts).tolist()),
        lines=0 if other is None else other.shape[1],
    )


def unequal(first: Side, second: Side) -> list[str]:
    """Names of the first loop's variables that the second one has with another value."""
    pairs = _paired(first, second)
    if not pairs:
        return []
    own, others = (list(places) for places in zip(*pairs, strict=True))
    names = [name for name, *_ in first.variables()]
    values = zip(own, first.values(own), second.values(others), strict=True)
    return [names[place] for place, one, other in values if not np.array_equal(one, other, equal_nan=True)]


def _paired(first: Side, second: Side) -> list[tuple[int, int]] | None:
    """The places of each variable of the first loop and of its counterpart; None if one has none.

    By name, or by their order where names do not tell: Keras numbers the optimizers of a process, and plain variables
    may all be called the same.
    """
    own, others = first.variables(), second.variables()
    places = {name: place for place, (name, *_) in enumerate(others)}
    counterparts = [places.get(name) for name, *_ in own]
    unclear = len(places) < len(others) or len({name for name, *_ in own}) < len(own)
    if len(own) == len(others) and (unclear or None in counterparts):
        counterparts = [*range(len(others))]
    elif unclear:
        return None
    found = [(mine, other) for mine, other in enumerate(counterparts) if other is not None]
    fits = len(found) == len(own) and all(_kind(own[mine]) == _kind(others[other]) for mine, other in found)
    return found if fits else None


def _kind(variable: Variable) -> tuple[list[int], str]:
    _, shape, dtype, _ = variable
    return [*shape], dtype


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """How far two values of a variable are from each other; NaN or infinite where only one of them is."""
    return 0.0 if np.array_equal(one, other, equal_nan=True) else distance(one, other)


def _shares(apart: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """How far updates differ, as shares of their size, or of the variable's usual one where that is larger; never NaN.

    An update that is far smaller than the others of its variable is the small difference of large terms, and known no
    better than those. The gradient of a bias is a sum of p - y, whose terms now and then cancel to a thousandth.

    Args:
        apart: [stretches, variables], distance of one loop's values from the other's.
        sizes: [stretches, variables], how far the first loop has moved.
    """
    usual = np.median(np.where(np.isfinite(sizes), sizes, 0.0), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(apart == 0, 0.0, apart / np.maximum(sizes, usual))
    return np.where(np.isfinite(shares), shares, np.inf)


def _metrics_apart(first: Side, second: Side, batches: int) -> np.ndarray:
    """How far the metrics of each of the last batches differ, as a share of their size, the most of any: [batches]."""
    one, other = ({name: values[-batches:] for name, values in side.history().items()} for side in (first, second))
    apart = [np.abs(one[name] - other[name]) / (np.abs(one[name]) + SCALE) for name in one if name in other]
    # Not a number in both is the same; in one of them it is as far apart as can be.
    both = [np.isnan(one[name]) & np.isnan(other[name]) for name in one if name in other]
    found = [np.where(same, 0.0, np.nan_to_num(far, nan=np.inf)) for far, same in zip(apart, both, strict=True)]
    most: np.ndarray = np.max(found, axis=0)
    return most


def _other_lines(first: Side, second: Side, batches: int) -> np.ndarray | None:
    """Which lines of the last batches are others, [batches, lines] bool; None where a loop does not say."""
    one, other = first.lines(), second.lines()
    if one is None or other is None:
        return None
    count, width = len(one), one.shape[1] if one.ndim > 1 else 1
    if one.shape != other.shape:
        return np.ones([batches, width], bool)
    differ: np.ndarray = np.any((one != other).reshape(count, width, -1), axis=2)
    return differ[-batches:]
