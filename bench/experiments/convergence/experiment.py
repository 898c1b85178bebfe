"""An experiment on convergence from beginning to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.experiments.convergence.plan import ConvergencePlan
from bench.experiments.convergence.record import ConvergenceRecord
from bench.jobs.gather import Run, gather, in_processes
from bench.machine.environment import environment


def converge(
    plan: ConvergencePlan,
    folder: Path,
    workers: int,
    progress: Callable[[str], None] = lambda title: None,
    run: Run = in_processes,
) -> ConvergenceRecord:
    """Runs the trials that are planned and not done yet; returns the record of all.

    Args:
        plan: loops and seeds.
        folder: for a folder `trials` of results; an interrupted experiment resumes there.
        workers: processes at a time.
        progress: is told the title of each run that is done.
        run: where the trials run.

    Raises:
        UsageError: see `gather`; or a loop does not say how good it is.
    """
    here = environment()
    results = gather(plan.trials(), folder / "trials", environment=here, workers=workers, progress=progress, run=run)
    return ConvergenceRecord.of(plan, results, here)
