"""A sweep from beginning to end: measuring its points one after the other, and what it leaves."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

from bench.experiments.survival import running
from bench.experiments.sweep.plan import Sweep
from bench.experiments.sweep.record import SweepRecord
from bench.experiments.sweep.trial import Measured
from bench.jobs import folder as fingerprint
from bench.jobs import pool
from bench.jobs.pool import Death, Job
from bench.machine import gpu
from bench.machine.environment import environment

POINTS = "points"

_PRELOADED = ("tensorflow", "keras", "bench.experiments.run.measurement")
"""What takes long to import, and asks for no device yet."""


def run(sweep: Sweep, folder: Path, tell: Callable[[str], None] = lambda title: None) -> SweepRecord:
    """Measures the points that have not been yet, each in a process of its own and none beside another.

    Args:
        sweep: what to measure.
        folder: for a folder `points`; one in which the same sweep was interrupted is gone on with.
        tell: is told the title of each point that has come to its end, those that had before among them.

    Raises:
        UsageError: the folder cannot be written, is in use, or holds points of another machine, software or code;
            or a loop is not to be had.
    """
    # Set for this process as well: beside one that holds all memory of a GPU, no other could have any.
    gpu.share()
    here, settings, points, titles = environment(), sweep.settings, sweep.distinct(), sweep.titles()
    made_of = fingerprint.of_loops((settings.before, settings.after), [settings.options])
    running.same_environment(folder / POINTS, {**here, **made_of})
    work = {name: point.job(titles[name]) for name, point in points.items()}
    for name, job in work.items():
        if pool.result(folder / POINTS, job).exists():
            tell(titles[name])

    def died(job: Job, death: Death) -> str:
        return Measured.died(points[job.name], death).model_dump_json() + "\n"

    finished = list(work.values())
    pool.run(finished, folder / POINTS, 1, died, lambda job: tell(job.title), pool.of_loops(), _PRELOADED)
    measured = {job.name: Measured.read(pool.result(folder / POINTS, job)) for job in finished}
    return SweepRecord(created=datetime.datetime.now(datetime.UTC), environment=here, sweep=sweep, measured=measured)


def forget(folder: Path) -> None:
    """Removes the single points of a sweep that is over and in a record: the next one there starts anew."""
    shutil.rmtree(folder / POINTS, ignore_errors=True)
