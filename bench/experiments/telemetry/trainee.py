"""A loop that trains while another process looks on, in the process in which it lives; it says plain values.

It imports nothing but the core, for loops that live elsewhere: see `loop_bench.arms.process`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loop_bench.experiments.telemetry import training
from loop_bench.loop import LoopSpec, TrainingLoop, build, load
from loop_bench.timing import clock


class Trainee:
    """A loop that is warmed up, started and trained, in this order.

    Args:
        factory: as module:factory.
        preset: of its spec.
        seed: of its spec.
        options: of its spec.
        arm: that it is of, for messages.
    """

    def __init__(self, factory: str, preset: str, seed: int, options: Mapping[str, Any], arm: str = "") -> None:
        self._what = factory, load(factory), LoopSpec(preset, seed, options), arm
        self._loop: TrainingLoop | None = None

    def warm_up(self) -> None:
        """Has the process do what it does only once."""
        clock.warm_up(lambda: build(*self._what))

    def start(self) -> tuple[float, float]:
        """Builds the loop and trains its first batch; seconds of either."""
        self._loop, built, first = clock.first_batch(*self._what)
        return built, first

    def train(self, batches: int, seconds: float) -> dict[str, Any]:
        """Trains blocks of so many batches for about so many seconds: the fields of a `Trained`."""
        blocks = training.blocks_for(self._started, batches, seconds)
        return dataclasses.asdict(training.train(self._started, batches, blocks))

    def trace(self, batches: int, folder: str, host_level: int, mark: str) -> None:
        """Trains so many batches under the profiler; see `training.train_traced`."""
        training.train_traced(self._started, batches, Path(folder), host_level, mark)

    @property
    def _started(self) -> TrainingLoop:
        assert self._loop is not None, "start() comes first"
        return self._loop
