"""One loop that trains in a process of its own while another process looks on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from bench.experiments.telemetry.record import Telemetry
from bench.jobs.gather import Run, gather, in_processes
from bench.jobs.trial import Trial
from bench.machine.environment import environment
from bench.settings import ARMS, Settings

PATIENCE = 1200.0
"""Seconds that a process may take besides three times its stretch; what takes longer hangs."""


class TelemetryTrial(Trial[Telemetry]):
    """A stretch of undisturbed training of one loop."""

    work: ClassVar = "bench.experiments.telemetry.watching:watch_trial"
    finding: ClassVar = Telemetry

    name: str  # of the arm
    factory: str  # as module:factory
    preset: str
    seed: int
    options: dict[str, Any] = Field(default_factory=dict)
    batches: Annotated[int, Field(gt=0)]  # of a block
    seconds: Annotated[float, Field(gt=0)]  # of the stretch, roughly

    @classmethod
    def of(cls, settings: Settings, arm: str, seconds: float) -> Self:
        """The trial of an arm."""
        return cls(
            name=arm,
            factory=dict(zip(ARMS, (settings.before, settings.after), strict=True))[arm],
            preset=settings.preset,
            seed=settings.seed,
            options=settings.options,
            batches=settings.batches,
            seconds=seconds,
            time_limit=PATIENCE + 3 * seconds,
        )

    @property
    def title(self) -> str:
        return self.name

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return ((self.factory, self.options),)


def watch(
    settings: Settings,
    seconds: float,
    folder: Path,
    progress: Callable[[str], None] = lambda arm: None,
    run: Run = in_processes,
) -> dict[str, Telemetry]:
    """Telemetry of both loops by arm, one after the other, each with the machine to itself.

    Args:
        settings: which loops, from what seed; a block is of their batches.
        seconds: length of a stretch, roughly.
        folder: for results.
        progress: is told of each arm that is done.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    trials = {arm: TelemetryTrial.of(settings, arm, seconds) for arm in ARMS}
    results = gather(trials.values(), folder, environment=environment(), progress=progress, run=run)
    found = {arm: results[trial.key] for arm, trial in trials.items()}
    return {arm: result.found or Telemetry(died=result.died) for arm, result in found.items()}
