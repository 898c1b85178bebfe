"""A loop that trains while another process looks on, in the process in which it lives; it says plain values.

It imports nothing but the core, for loops that live elsewhere: see `loop_bench.arms.process`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from loop_bench.experiments.telemetry import training
from loop_bench.timing.beginning import Beginning


class Trainee(Beginning):
    """A loop that is warmed up for, started and trained, in this order."""

    def train(self, batches: int, seconds: float) -> dict[str, Any]:
        """Trains blocks of so many batches for about so many seconds: the fields of a `Trained`."""
        blocks = training.blocks_for(self.started, batches, seconds)
        return dataclasses.asdict(training.train(self.started, batches, blocks))

    def trace(self, batches: int, folder: str, host_level: int, mark: str) -> None:
        """Trains so many batches under the profiler; see `training.train_traced`."""
        training.train_traced(self.started, batches, Path(folder), host_level, mark)
