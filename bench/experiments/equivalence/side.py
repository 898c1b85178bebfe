"""One loop of an equivalence check, in its own process; all results are plain values and arrays.

It imports only the core, because it also runs in the processes of other environments: see `loop_bench.arms.process`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loop_bench.loop import LoopSpec, TrainingLoop, build, history, lines, load
from loop_bench.variables import VariableReader, drifted, held, is_mirrored, replicas, variable_name

Variable = tuple[str, Sequence[int], str, bool]
"""Name, shape and dtype of a variable, and whether it is trained."""


class Side:
    """One of the two loops of an equivalence check.

    Args:
        loop: a fresh loop.
    """

    def __init__(self, loop: TrainingLoop) -> None:
        self._loop = loop
        self._read = VariableReader()
        self._first = self._replicated()
        self._mirrored = [name for name, (variable, value) in self._first.items() if is_mirrored(variable, value)]

    @classmethod
    def made(cls, factory: str, preset: str, seed: int, options: Mapping[str, Any], role: str = "") -> Side:
        """Builds a loop and wraps it; `role` is its name in messages."""
        return cls(build(factory, load(factory), LoopSpec(preset, seed, options), role))

    def run(self, batches: int) -> None:
        """Trains batches."""
        self._loop.run(batches)

    def history(self) -> dict[str, np.ndarray]:
        """Metrics by name, each [batches] float."""
        return history(self._loop)

    def lines(self) -> np.ndarray | None:
        """The tokens that the loop has drawn, [batches, ...]; None: it does not keep them."""
        return lines(self._loop)

    def variables(self) -> list[Variable]:
        """Weights and state, in the loop's order."""
        return [
            (variable_name(variable), tuple(map(int, variable.shape)), _dtype(variable), bool(variable.trainable))
            for variable in self._loop.variables
        ]

    def values(self, places: Sequence[int]) -> list[np.ndarray]:
        """The values of variables, given by their indices in `variables`."""
        variables = [*self._loop.variables]
        return self._read([variables[place] for place in places])

    def apart(self) -> dict[str, float]:
        """Variables whose replicas were equal at first and have diverged, with their distance (`variables.apart`)."""
        now = {name: value for name, (_, value) in self._replicated().items()}
        return drifted(now, {name: value for name, (_, value) in self._first.items()}, self._mirrored)

    def assign(self, places: Sequence[int], values: Sequence[np.ndarray]) -> None:
        """Assigns values to variables, given by their indices in `variables`, on every replica."""
        variables = [*self._loop.variables]
        for place, value in zip(places, values, strict=True):
            variables[place].assign(value)

    def _replicated(self) -> dict[str, tuple[Any, np.ndarray]]:
        """The variables that have replicas, with the replicas' values, by a unique name."""
        replicated = [(index, each) for index, each in enumerate(self._loop.variables) if len(replicas(each)) > 1]
        return {f"{index}:{variable_name(each)}": (each, held(each)) for index, each in replicated}


def _dtype(variable: Any) -> str:
    return str(getattr(variable.dtype, "name", variable.dtype))  # a dtype of Keras is a text
