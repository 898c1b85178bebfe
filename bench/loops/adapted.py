"""A training loop of the parts that an adapter has put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loop_bench.loops.caller import Caller

Variables = Sequence[Any] | Callable[[], Sequence[Any]]
"""Weights and optimizer state, or what gives them: an optimizer may make its state in the first batch."""

Evaluate = Callable[[], Mapping[str, float]]


class AdaptedLoop:
    """A training loop whose work is done as if by the line that has called the adapter; see `TrainingLoop`.

    Args:
        caller: that line.
        train: trains exactly so many more batches.
        history: gives the metrics by name, [batches].
        variables: see `Variables`.
        evaluate: gives numbers by name, for `loop-bench converge`; None: the loop has no `evaluate`.
        batches_per_epoch: before the data are repeated; None: not known.
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
            self.evaluate = evaluate  # the contract asks whether it is there

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches; device work may still be in flight on return."""
        self._caller.call(lambda: self._train(batches))

    def history(self) -> dict[str, np.ndarray]:
        """Metrics by name, [batches]; one read of what is still on the device."""
        found: dict[str, np.ndarray] = self._caller.call(self._history)
        return found

    @property
    def variables(self) -> list[Any]:
        """Weights and optimizer state."""
        return list(self._variables() if callable(self._variables) else self._variables)

    def describe(self) -> dict[str, Any]:
        """How many batches an epoch has, where the data say it."""
        return self._described


def batches_in(data: Any) -> int | None:
    """How many batches data have, as far as they say it without being gone through."""
    if hasattr(data, "cardinality"):  # a tf.data.Dataset, whose len() raises where there is none
        count = int(data.cardinality())
        return count if count >= 0 else None
    return len(data) if hasattr(data, "__len__") else None
