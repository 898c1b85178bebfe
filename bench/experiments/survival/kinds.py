"""Kinds of numbers that a fault can reach: weights, state of an optimizer, other state, metrics."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, get_args

Kind = Literal["weights", "optimizer state", "other state", "metrics"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are named."""

_COUNTERS = "iteration", "iter"
"""What Keras calls the step counter that every optimizer of its own has; the second in `tf_keras.optimizers.legacy`."""


def optimizer_state(state: Iterable[str], weights: Collection[str]) -> frozenset[str]:
    """The variables that are known to be an optimizer's: those on whose path its step counter is.

    Keras puts an optimizer's variables below its name: `adam/iteration`, `adam/dense_kernel_momentum`. (Keras 2 calls
    its counter `iteration` and the others by the whole name of a weight: `Adam/m/dense/kernel`.) Of others that are not
    trained (moments and accumulators kept by hand, statistics of a BatchNormalization, counters, generators of random
    numbers) no loop says what they are for: they are other state.

    Args:
        state: names of variables that are not trained, with a number before them: `3:adam/iteration`.
        weights: names of those that are; a path with one of them is no optimizer's.
    """
    state = [*state]
    counted = {_folder(each) for each in state if _path(each).rpartition("/")[2] in _COUNTERS}
    optimizers = {folder for folder in counted if not any(_is_below(each, folder) for each in weights)}
    below = (each for each in state if any(_is_below(each, folder) for folder in optimizers))
    return frozenset([*below, *_of_keras_2(state, weights)])


def _of_keras_2(state: Collection[str], weights: Collection[str]) -> list[str]:
    """The counters without a folder, and what is called after a weight, `Adam/m/` or `m/` before it; all or nothing."""
    counters = [each for each in state if _path(each) == _COUNTERS[0]]
    ends = tuple(f"/{_path(each)}" for each in weights)
    moments = [each for each in state if counters and ends and _path(each).endswith(ends)]
    return [*counters, *moments] if moments else []


def _path(name: str) -> str:
    """Without its number, and without the output that TensorFlow's names end with."""
    return name.partition(":")[2].partition(":")[0]


def _folder(name: str) -> str:
    return _path(name).rpartition("/")[0]


def _is_below(name: str, folder: str) -> bool:
    return _path(name).startswith(f"{folder}/")
