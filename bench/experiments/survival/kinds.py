"""Kinds of numbers that a fault can reach: weights, state of an optimizer, other state, metrics."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, get_args

Kind = Literal["weights", "optimizer state", "other state", "metrics"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds, in the order in which reasons list them."""

_COUNTERS = "iteration", "iter"
"""Names of the step counter in Keras' optimizers; the second is that of `tf_keras.optimizers.legacy`."""


def optimizer_state(state: Iterable[str], weights: Collection[str]) -> frozenset[str]:
    """The variables that belong to an optimizer, recognised by the step counter on the same path.

    Keras puts an optimizer's variables below its name: `adam/iteration`, `adam/dense_kernel_momentum`. (Keras 2 calls
    its counter `iteration` and names the others after a weight: `Adam/m/dense/kernel`.) The purpose of other untrained
    variables (moments and accumulators kept by hand, statistics of a BatchNormalization, counters, generators of random
    numbers) cannot be determined: they are other state.

    Args:
        state: names of untrained variables, each with a number before it: `3:adam/iteration`.
        weights: names of trained variables; a path that contains one is not an optimizer's.
    """
    state = [*state]
    counted = {_folder(name) for name in state if _path(name).rpartition("/")[2] in _COUNTERS}
    optimizers = {folder for folder in counted if not any(_is_below(name, folder) for name in weights)}
    below = (name for name in state if any(_is_below(name, folder) for folder in optimizers))
    return frozenset([*below, *_of_keras_2(state, weights)])


def _of_keras_2(state: Collection[str], weights: Collection[str]) -> list[str]:
    """Counters without a folder, and variables named after a weight (`Adam/m/…` or `m/…`); empty unless both exist."""
    counters = [name for name in state if _path(name) == _COUNTERS[0]]
    ends = tuple(f"/{_path(name)}" for name in weights)
    moments = [name for name in state if counters and ends and _path(name).endswith(ends)]
    return [*counters, *moments] if moments else []


def _path(name: str) -> str:
    """A variable's name without its number, and without the output number at the end of TensorFlow's names."""
    return name.partition(":")[2].partition(":")[0]


def _folder(name: str) -> str:
    return _path(name).rpartition("/")[0]


def _is_below(name: str, folder: str) -> bool:
    return _path(name).startswith(f"{folder}/")
