"""An experiment on survival from beginning to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.experiments.survival import outcome
from bench.experiments.survival.plan import SurvivalPlan
from bench.experiments.survival.record import SurvivalRecord
from bench.jobs.gather import Run, gather, in_processes
from bench.machine.environment import environment


def survive(
    plan: SurvivalPlan,
    folder: Path,
    workers: int,
    shown: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda title: None,
    run: Run = in_processes,
) -> SurvivalRecord:
    """Runs the trials that are planned and not done yet, and judges all of them.

    Args:
        plan: loops, faults and seeds.
        folder: for a folder `trials` of results; an interrupted experiment resumes there.
        workers: processes at a time.
        shown: faults whose metrics are kept batch by batch.
        progress: is told the title of each trial that is done.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    here = environment()
    results = gather(plan.trials(), folder / "trials", environment=here, workers=workers, progress=progress, run=run)
    return outcome.record(plan, results, here, shown)
