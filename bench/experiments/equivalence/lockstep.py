"""Two loops a batch or two at a time, each time from the same state: what can differ is how a batch is computed.

Left to themselves, two runs of one algorithm go different ways as soon as rounding has flipped a random draw. Here the
second loop is given the first one's state before every stretch, so that no difference grows, and a tolerance that is
meant for rounding holds to the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loop_bench.experiments.equivalence.record import Lockstep
from loop_bench.loop import TrainingLoop, VariableReader, distance, history, lines, variable_name

SCALE = 1e-2
"""Added to the size of a metric by which a difference is divided: a loss near zero is the logarithm of a probability
near one, and known no better than that is."""


def lockstep(first: TrainingLoop, second: TrainingLoop, stretches: Sequence[int]) -> Lockstep | None:
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
    own, others = zip(*pairs, strict=True)
    own_values, others_values = VariableReader(), VariableReader()
    sizes, apart, before = [], [], own_values(own)
    for length in stretches:
        for value, variable in zip(before, others, strict=True):
            variable.assign(value)
        first.run(length)
        second.run(length)
        after = own_values(own)
        sizes.append([distance(*values) for values in zip(before, after, strict=True)])
        apart.append([_apart(*values) for values in zip(after, others_values(others), strict=True)])
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


def unequal(first: TrainingLoop, second: TrainingLoop) -> list[str]:
    """Names of the first loop's variables that the second one has with another value."""
    pairs = _paired(first, second) or []
    return [
        variable_name(own) for own, other in pairs if not np.array_equal(own.numpy(), other.numpy(), equal_nan=True)
    ]


def _paired(first: TrainingLoop, second: TrainingLoop) -> list[tuple[Any, Any]] | None:
    """Each variable of the first loop with its counterpart; None if one has none.

    By name, or by their order where names do not tell: Keras numbers the optimizers of a process, and plain variables
    may all be called the same.
    """
    own, others = list(first.variables), list(second.variables)
    named = {variable_name(variable): variable for variable in others}
    found = [(variable, named.get(variable_name(variable))) for variable in own]
    unclear = len(named) < len(others) or len({variable_name(variable) for variable in own}) < len(own)
    if len(own) == len(others) and (unclear or any(other is None for _, other in found)):
        found = list(zip(own, others, strict=True))
    elif unclear:
        return None
    fits = all(other is not None and (other.shape, other.dtype) == (mine.shape, mine.dtype) for mine, other in found)
    return found if fits else None


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
    count, width = len(one), one.shape[1] if one.ndim > 1 else 1
    if one.shape != other.shape:
        return np.ones([batches, width], bool)
    differ: np.ndarray = np.any((one != other).reshape(count, width, -1), axis=2)
    return differ[-batches:]
