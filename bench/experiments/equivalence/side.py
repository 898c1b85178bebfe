"""A loop that is held against another one, in the process in which it lives; it says plain values and arrays.

It imports nothing but the core, for loops that live elsewhere: see `loop_bench.arms.process`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loop_bench.loop import LoopSpec, TrainingLoop, build, history, lines, load
from loop_bench.variables import VariableReader, drifted, held, is_mirrored, replicas, variable_name

Variable = tuple[str, Sequence[int], str, bool]
"""Name, shape, dtype, and whether it is trained."""


class Side:
    """One of two loops.

    Args:
        loop: fresh.
    """

    def __init__(self, loop: TrainingLoop) -> None:
        self._loop = loop
        self._read = VariableReader()
        self._first = self._of_replicas()
        self._mirrored = [name for name, (variable, value) in self._first.items() if is_mirrored(variable, value)]

    @classmethod
    def made(cls, factory: str, preset: str, seed: int, options: Mapping[str, Any], role: str = "") -> Side:
        """The side of a loop that is built for it; `role` is what it is called in messages."""
        return cls(build(factory, load(factory), LoopSpec(preset, seed, options), role))

    def run(self, batches: int) -> None:
        """Trains so many batches."""
        self._loop.run(batches)

    def history(self) -> dict[str, np.ndarray]:
        """Metrics by name, each [batches] float."""
        return history(self._loop)

    def lines(self) -> np.ndarray | None:
        """What the loop has drawn, [batches, ...]; None if that is not known."""
        return lines(self._loop)

    def variables(self) -> list[Variable]:
        """Weights and state, in the loop's order."""
        return [
            (variable_name(each), tuple(map(int, each.shape)), _dtype(each), bool(each.trainable))
            for each in self._loop.variables
        ]

    def values(self, places: Sequence[int]) -> list[np.ndarray]:
        """What some variables hold, by their places in that order."""
        variables = [*self._loop.variables]
        return self._read([variables[place] for place in places])

    def apart(self) -> dict[str, float]:
        """Variables whose replicas held the same at first and do no longer; how far apart: see `variables.apart`."""
        now = {name: value for name, (_, value) in self._of_replicas().items()}
        return drifted(now, {name: value for name, (_, value) in self._first.items()}, self._mirrored)

    def assign(self, places: Sequence[int], values: Sequence[np.ndarray]) -> None:
        """Gives some variables other values, on every replica."""
        variables = [*self._loop.variables]
        for place, value in zip(places, values, strict=True):
            variables[place].assign(value)

    def _of_replicas(self) -> dict[str, tuple[Any, np.ndarray]]:
        """Variables that have replicas and what each of these holds, by a name that is theirs alone."""
        with_replicas = [(place, each) for place, each in enumerate(self._loop.variables) if len(replicas(each)) > 1]
        return {f"{place}:{variable_name(each)}": (each, held(each)) for place, each in with_replicas}


def _dtype(variable: Any) -> str:
    return str(getattr(variable.dtype, "name", variable.dtype))  # Keras has texts
