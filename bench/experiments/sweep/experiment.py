"""The sweep experiment, as a function and as a command: measures points in consecutive processes."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loop_bench.errors import UsageError
from loop_bench.experiments.experiment import (
    STARTING,
    Asked,
    Experiment,
    Folder,
    Option,
    Parts,
    RealNumber,
    RunSwitch,
    place,
)
from loop_bench.experiments.sweep.plan import TIME_LIMIT, Axis, Sweep, parse_axes
from loop_bench.experiments.sweep.record import SweepRecord
from loop_bench.experiments.sweep.trial import Measured, PointTrial, TimedPoint
from loop_bench.jobs.attempt import CrashError
from loop_bench.jobs.gather import Run, gather, in_processes
from loop_bench.jobs.kinds import ran_on
from loop_bench.jobs.machines import environment_of
from loop_bench.machine import gpu
from loop_bench.machine.environment import environment
from loop_bench.settings import ARMS, Settings

POINTS = "points"
"""Name of the folder for the results of points."""

LEAST_ROUNDS = 12
"""Least rounds of a point, unless `--rounds` is given: enough for an interval, and each order of the three timed loops
comes twice."""

SHARE_OF_ROUNDS = 0.5
"""Largest share of a point's time limit for its rounds; the rest is for starting, compiling and slow rounds."""


def sweep(
    plan: Sweep, folder: Path, progress: Callable[[str], None] = lambda title: None, run: Run = in_processes
) -> SweepRecord:
    """Measures the points that have no result yet, one at a time.

    Args:
        plan: the points.
        folder: gets a folder `points` of results; an interrupted sweep resumes there.
        progress: called with the title of each finished point.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    gpu.share()
    machine, titles, points = environment(), plan.titles(), plan.distinct()
    trials = [PointTrial.of(point, titles[key]) for key, point in points.items()]
    results = gather(trials, folder / POINTS, environment=machine, progress=progress, run=run)
    measured = {key: Measured.of(point, results[key]) for key, point in points.items()}
    ran = ran_on((trial.title, results[trial.key].machine) for trial in trials)
    return SweepRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment=environment_of(ran, machine),
        sweep=plan,
        measured=measured,
        ran_on=ran,
    )


def forget(folder: Path) -> None:
    """Removes the points of a recorded sweep, so that the next sweep in the folder is measured anew."""
    shutil.rmtree(folder / POINTS, ignore_errors=True)


def measure_trial(trial: PointTrial) -> TimedPoint:
    """Times both loops and the null arm alternately in this process."""
    from loop_bench.experiments.run.measurement import Measurement  # starts TensorFlow

    seconds = min(trial.settings.max_time, SHARE_OF_ROUNDS * trial.time_limit)
    settings = trial.settings.model_copy(update={"max_time": seconds})
    measurement = Measurement(settings)
    try:
        measurement.time_rounds(fewest=LEAST_ROUNDS if settings.rounds is None else None)
        measurement.check_work()
    except UsageError as error:  # the loops exist, so that they cannot be built at this size is a result
        raise CrashError(str(error)) from error
    record = measurement.record()
    # The histories were checked, and would be the largest part of the result.
    arms = {arm: record.arms[arm].model_copy(update={"history": {}}) for arm in ARMS}
    return TimedPoint(record=record.model_copy(update={"arms": arms}), samples=measurement.samples_per_batch)


class SweepExperiment(Experiment):
    """Measure how ms/batch and tokens a second of both loops change as the work grows.

    Each axis is varied alone, with everything else as in the preset. Each point is measured in a process of its own, so
    that running out of memory is a result, with at least twelve interleaved rounds of both loops and the null arm.
    Ctrl-C loses the point in progress: the same command resumes the rest. Exit code 1: no point could be measured.

    Axes of the built-in loops: batch, tokens (per line), vocabulary, hidden (units of the LSTM), d_steps (discriminator
    updates per batch), replicas (devices that share each batch; the table has the scaling efficiency relative to
    replicas=1). For other loops, an axis is the name of an option, which a factory receives in its LoopSpec.

    Examples: loop-bench sweep --sweep batch=16,64,256 --sweep tokens=20,40,80 --out runs/sweep

    loop-bench sweep --before my.old:make --after my.new:make --preset any --sweep layers=2,4,8
    """

    name = "sweep"
    _axes = Option(
        "--sweep",
        "an axis and its values, such as batch=16,64,256; may be repeated for further axes",
        metavar="AXIS=VALUES",
        repeated=True,
        also=("--axis",),
    )
    options = (
        _axes,
        "--before",
        "--after",
        "--preset",
        "--script",
        "--seed",
        "--batches",
        ("--rounds", {"help": "time exactly this many rounds of each point"}),
        "--precision",
        Option(
            "--max-time",
            "time rounds for at most this many seconds, all points together",
            RealNumber(least=1),
            "600",
        ),
        Option(
            "--time-limit",
            "seconds allowed for each point, from the start of its process; a point that takes longer is ended",
            RealNumber(least=1),
            str(TIME_LIMIT),
        ),
        Option("--out", "folder for the points, the record, tables and plots", Folder(), "results/runs/sweep"),
        "--on",
    )
    stage = "both loops at several sizes, each in a process of its own"
    parts = "points"
    redraws = 1.0
    switch = RunSwitch(
        _axes.but(
            help="also measure both loops at several sizes of the work, such as batch=16,64,256; may be repeated for "
            "further axes ({axes}; for other loops, the name of an option); the rounds of all sizes together take "
            "--max-time seconds; writes to RESULTS/sweep-PRESET, where an interrupted run resumes",
            also=(),
        ),
        without="no --sweep: give it an axis and its values, such as --sweep batch=16,64,256",
        place=1,
        with_run=True,
    )

    def seconds(self, asked: Asked) -> float:
        """See Experiment; the rounds, and the start of a process for each point."""
        points = sum(len(axis.values) for axis in parse_axes(asked["sweep"], None))
        return float(points * STARTING + asked["max_time"])

    def check(self, pair: Any, asked: Asked, options: Mapping[str, Any]) -> None:
        """See Experiment."""
        _along(pair, asked)
        super().check(pair, asked, options)

    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Parts:
        """See Experiment."""
        plan = pair.sweep(settings, _along(pair, asked), asked["time_limit"])

        def work(folder: Path, done: Callable[[str], None]) -> SweepRecord:
            with place(asked) as run:
                return sweep(plan, folder, done, run)

        return Parts(len(plan.distinct()), work)

    def titled(self, title: str) -> tuple[str, str]:
        """See Experiment."""
        return f"{self.stage}; measured: {title}", ""

    def tidy(self, folder: Path) -> None:
        """See Experiment."""
        forget(folder)

    def causes(self, record: SweepRecord) -> dict[str, list[str]]:
        """See Experiment; a point that is too large is a result as long as others can be measured."""
        return {"points": ["" if point.record else f"{point.ended}: {point.why}" for point in record.measured.values()]}


def _along(pair: Any, asked: Asked) -> tuple[Axis, ...]:
    """The axes that the options name."""
    return parse_axes(asked["sweep"] or (), tuple(pair.axes.options) if pair.axes else None)
