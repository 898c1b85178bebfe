"""A sweep from beginning to end: its points, one after the other, each in a process of its own."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

from bench.errors import UsageError
from bench.experiments.sweep.plan import Sweep
from bench.experiments.sweep.record import SweepRecord
from bench.experiments.sweep.trial import Measured, PointTrial, TimedPoint
from bench.jobs.gather import Run, gather, in_processes
from bench.jobs.trial import CrashError
from bench.machine import gpu
from bench.machine.environment import environment
from bench.settings import ARMS

POINTS = "points"

LEAST_ROUNDS = 12
"""Rounds of a point, however long they take, unless a number is asked for: each order of the three timed loops comes
twice, and there are enough for an interval."""

SHARE_OF_ROUNDS = 0.5
"""Share of a point's time limit that its rounds take at most: the rest is for starting, compiling, and rounds that take
longer than they should."""


def sweep(
    plan: Sweep, folder: Path, progress: Callable[[str], None] = lambda title: None, run: Run = in_processes
) -> SweepRecord:
    """Measures the points that have not been measured yet, one at a time.

    Args:
        plan: the points.
        folder: for a folder `points` of results; an interrupted sweep resumes there.
        progress: is told the title of each point that is done.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    gpu.share()
    here, titles, points = environment(), plan.titles(), plan.distinct()
    trials = [PointTrial.of(point, titles[key]) for key, point in points.items()]
    results = gather(trials, folder / POINTS, environment=here, progress=progress, run=run)
    measured = {key: Measured.of(point, results[key]) for key, point in points.items()}
    return SweepRecord(created=datetime.datetime.now(datetime.UTC), environment=here, sweep=plan, measured=measured)


def forget(folder: Path) -> None:
    """Removes the single points of a sweep that is over and in a record: the next one there starts anew."""
    shutil.rmtree(folder / POINTS, ignore_errors=True)


def measure_trial(trial: PointTrial) -> TimedPoint:
    """Times both loops and the null arm in turns, in this process."""
    from bench.experiments.run.measurement import Measurement  # it starts TensorFlow
    from bench.timing import stopping

    seconds = min(trial.settings.max_time, SHARE_OF_ROUNDS * trial.time_limit)
    settings = trial.settings.model_copy(update={"max_time": seconds})
    measurement = Measurement(settings)
    rule = measurement.rule()
    if settings.rounds is None:
        rule = stopping.AtLeast(LEAST_ROUNDS, rule)
    try:
        measurement.time_rounds(rule=rule)
        measurement.check_work()
    except UsageError as error:  # the loops exist, and cannot be built at this size: a result
        raise CrashError(str(error)) from error
    record = measurement.record()
    # The histories have been looked at, and are longer than all the rest.
    arms = {arm: record.arms[arm].model_copy(update={"history": {}}) for arm in ARMS}
    return TimedPoint(record=record.model_copy(update={"arms": arms}), samples=measurement.samples_per_batch)
