"""The training loop that every adapter returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loop_bench.loops.caller import Caller

Variables = Sequence[Any] | Callable[[], Sequence[Any]]
"""Weights and optimizer state, or a function that returns them, because an optimizer may create its state late."""

Evaluate = Callable[[], Mapping[str, float]]


class AdaptedLoop:
    """A `TrainingLoop` of functions, whose work is reported at the user's line that called the adapter.

    Args:
        caller: the user's line.
        train: trains exactly this many more batches.
        history: returns the metrics by name, [batches] each.
        variables: see `Variables`.
        evaluate: returns numbers by name, for `loop-bench converge`; None: the loop has no `evaluate`.
        batches_per_epoch: batches before the data repeat; None: unknown.
    """

    def __init__(
        self,
        caller: Caller,
        train: Callable[[int], None],
        history: Callable[[], dict[str, np.ndarray]],
        variables: Variables,
        evaluate: Evaluate | None,
        batches_per_epoch: int | None = None,
    ) -> None:
        self._caller, self._train, self._history, self._variables = caller, train, history, variables
        self._described = {} if batches_per_epoch is None else {"batches_per_epoch": batches_per_epoch}
        if evaluate is not None:
            self.evaluate = evaluate  # only then, because the harness checks whether a loop has the method

    def run(self, batches: int) -> None:
        """Trains exactly `batches` more batches; device work may still be in flight on return."""
        self._caller.call(lambda: self._train(batches))

    def history(self) -> dict[str, np.ndarray]:
        """Metrics by name, [batches] each; reads those that are still on the device at once."""
        metrics: dict[str, np.ndarray] = self._caller.call(self._history)
        return metrics

    @property
    def variables(self) -> list[Any]:
        """Weights and optimizer state."""
        return list(self._variables() if callable(self._variables) else self._variables)

    def describe(self) -> dict[str, Any]:
        """The number of batches per epoch, if known, as `batches_per_epoch`."""
        return self._described


def batches_in(data: Any) -> int | None:
    """Number of batches in the data; None if it is unknown without iterating over them."""
    if hasattr(data, "cardinality"):  # a tf.data.Dataset, whose len() raises if the length is unknown
        count = int(data.cardinality())
        return count if count >= 0 else None
    return len(data) if hasattr(data, "__len__") else None
