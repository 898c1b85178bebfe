"""The loop of a telemetry run, in its own process; all results are plain values.

It imports only the core, because it also runs in the processes of other environments: see `loop_bench.arms.process`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from loop_bench.experiments.telemetry import training
from loop_bench.timing.beginning import Beginning


class Trainee(Beginning):
    """A loop for the telemetry run; call `warm_up`, `start`, `train` and `trace` in this order."""

    def train(self, batches: int, seconds: float) -> dict[str, Any]:
        """Trains blocks of `batches` for about `seconds`; returns the fields of a `Trained`."""
        blocks = training.blocks_for(self.started, batches, seconds)
        return dataclasses.asdict(training.train(self.started, batches, blocks))

    def trace(self, batches: int, folder: str, host_level: int, mark: str) -> None:
        """Trains batches under the profiler; see `training.train_traced`."""
        training.train_traced(self.started, batches, Path(folder), host_level, mark)
