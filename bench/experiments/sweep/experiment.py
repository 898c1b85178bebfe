"""A sweep from beginning to end: its points, one after the other, each in a process of its own."""

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
    ran = ran_on((trial.title, results[trial.key].machine) for trial in trials)
    return SweepRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment=environment_of(ran, here),
        sweep=plan,
        measured=measured,
        ran_on=ran,
    )


def forget(folder: Path) -> None:
    """Removes the single points of a sweep that is over and in a record: the next one there starts anew."""
    shutil.rmtree(folder / POINTS, ignore_errors=True)


def measure_trial(trial: PointTrial) -> TimedPoint:
    """Times both loops and the null arm in turns, in this process."""
    from loop_bench.experiments.run.measurement import Measurement  # it starts TensorFlow

    seconds = min(trial.settings.max_time, SHARE_OF_ROUNDS * trial.time_limit)
    settings = trial.settings.model_copy(update={"max_time": seconds})
    measurement = Measurement(settings)
    try:
        measurement.time_rounds(fewest=LEAST_ROUNDS if settings.rounds is None else None)
        measurement.check_work()
    except UsageError as error:  # the loops exist, and cannot be built at this size: a result
        raise CrashError(str(error)) from error
    record = measurement.record()
    # The histories have been looked at, and are longer than all the rest.
    arms = {arm: record.arms[arm].model_copy(update={"history": {}}) for arm in ARMS}
    return TimedPoint(record=record.model_copy(update={"arms": arms}), samples=measurement.samples_per_batch)


class SweepExperiment(Experiment):
    """Measure how ms/batch and tokens a second of both loops change as the work grows.

    Each axis is varied alone, with all else as the preset has it. Each point is a process of its own, so that one
    that runs out of memory is a result, and at least twelve interleaved rounds of both loops and the null arm. Ctrl-C
    loses the point in hand: the same command goes on with the rest. Exit code 1: no point could be measured.

    Axes of the built-in loops: batch, tokens (a line), vocabulary, hidden (units of the LSTM), d_steps (discriminator
    updates a batch), replicas (devices that share each batch; its table has the scaling efficiency against replicas=1).
    For other loops, the name of an option: a factory finds it in its LoopSpec's options.

    Examples: loop-bench sweep --sweep batch=16,64,256 --sweep tokens=20,40,80 --out runs/sweep

    loop-bench sweep --before my.old:make --after my.new:make --preset any --axis layers=2,4,8
    """

    name = "sweep"
    _axes = Option(
        "--sweep",
        "an axis and the values that it takes, such as batch=16,64,256; may be repeated, one axis each",
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
        ("--rounds", {"help": "exactly so many rounds of each point"}),
        "--precision",
        Option(
            "--max-time", "or until so many seconds of rounds are over, all points together", RealNumber(least=1), "600"
        ),
        Option(
            "--time-limit",
            "seconds for a point with all that it takes; a longer one is ended",
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
            help="measure both loops at these sizes as well, such as batch=16,64,256; may be repeated, one axis each "
            "({axes}; of other loops, an option of theirs), the rounds of all sizes taking --max-time seconds "
            "together; into RESULTS/sweep-PRESET, where an interrupted one is gone on with",
            also=(),
        ),
        without="no --sweep: it names an axis and its values, such as --sweep batch=16,64,256",
        place=1,
        with_run=True,
    )

    def seconds(self, asked: Asked) -> float:
        """Rounds, and starting a process for each point."""
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
        """See Experiment; while others can be measured, a point that is too large is a result."""
        return {"points": ["" if found.record else f"{found.ended}: {found.why}" for found in record.measured.values()]}


def _along(pair: Any, asked: Asked) -> tuple[Axis, ...]:
    """The axes that are asked for."""
    return parse_axes(asked["sweep"] or (), tuple(pair.axes.options) if pair.axes else None)
