"""A ladder from beginning to end: each rung examined by itself, all timed in turns, and the record."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loop_bench.experiments.experiment import (
    Asked,
    Experiment,
    Flag,
    Folder,
    Option,
    RealNumber,
    RunSwitch,
    Stages,
    Tell,
    WholeNumber,
    place,
)
from loop_bench.experiments.ladder.plan import Ladder
from loop_bench.experiments.ladder.record import LadderLimits, LadderRecord
from loop_bench.experiments.ladder.rounds import (
    TIMING,
    RoundsTrial,
    TimedRungs,
    seconds_of_rounds,
    time_rungs,
    timed_rungs,
)
from loop_bench.experiments.ladder.trial import RungTrial, finding
from loop_bench.jobs.gather import OtherMachines, Run, gather, in_processes
from loop_bench.jobs.kinds import of_one_kind, ran_on
from loop_bench.jobs.machines import environment_of
from loop_bench.jobs.trial import Result, Trial
from loop_bench.machine.environment import environment
from loop_bench.settings import Settings

ROUNDS = "rounds"

_LOOKING = 30.0
"""Rough seconds for a rung's process, at preset paper on two cores."""


def seconds(ladder: Ladder, limits: LadderLimits) -> float:
    """Roughly how long it takes to climb; the weights that `climb` tells add up to it."""
    return len(ladder.rungs) * _LOOKING + seconds_of_rounds(ladder, limits)


def climb(
    ladder: Ladder,
    limits: LadderLimits,
    folder: Path,
    tell: Tell = lambda stage, detail, weight: None,
    run: Run = in_processes,
) -> LadderRecord:
    """Looks at each rung in a process of its own, then times all of them in turns in one process.

    That is this one; or one on another machine, where the rungs were looked at on such.

    Args:
        ladder: the rungs.
        limits: of the rounds.
        folder: for folders of results; an interrupted ladder resumes there.
        tell: see `loop_bench.experiments.experiment.Tell`.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    here, looking = environment(), "looking at each rung in a process of its own"
    tell(looking, "", 0.0)
    trials = {rung.name: RungTrial.of(ladder, rung) for rung in ladder.rungs}
    # One at a time, for they are timed; and without a cache of compilations, which are a part of that time.
    results = gather(
        trials.values(),
        folder / "rungs",
        environment=here,
        progress=lambda name: tell(looking, f": {name} done", _LOOKING),
        run=run,
    )
    findings = {name: finding(results[trial.key]) for name, trial in trials.items()}
    dead = {name: found.died for name, found in findings.items() if found.died}
    every: list[Trial[Any]] = [*trials.values()]
    found: dict[str, Result[Any]] = {**results}
    if isinstance(run, OtherMachines):
        rounds = RoundsTrial.of(ladder, limits, dead)
        every.append(rounds)
        found |= _time_elsewhere(rounds, folder / ROUNDS, here, tell, run)
        of_one_kind(every, found, f"folder {folder}")
        timed = timed_rungs(rounds, found[rounds.key])
    else:
        timed = time_rungs(ladder, limits, dead, tell)
    ran = ran_on((trial.title, found[trial.key].machine) for trial in every)
    return LadderRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment={**environment_of(ran, here), "state": timed.state},
        ladder=ladder,
        findings=findings,
        limits=limits,
        rounds=timed.rounds,
        rounds_ended=timed.ended,
        rounds_seconds=timed.seconds,
        stopped=timed.stopped,
        problems=timed.problems,
        ran_on=ran,
    )


def _time_elsewhere(
    trial: RoundsTrial, folder: Path, here: Mapping[str, Any], tell: Tell, run: Run
) -> Mapping[str, Result[TimedRungs]]:
    """Times the rungs in a process on another machine, of the kind that each rung was looked at on."""
    tell(TIMING, "", 0.0)
    results = gather([trial], folder, environment=here, run=run)
    tell(TIMING, "", seconds_of_rounds(trial.ladder, trial.limits))
    return results


def forget(folder: Path) -> None:
    """Removes the rounds of a ladder that is over and in a record: the next one there times anew."""
    shutil.rmtree(folder / ROUNDS, ignore_errors=True)


class LadderExperiment(Experiment):
    """Measure what each change between the loops contributes: the baseline, each change added, each left out.

    First each rung runs in a process of its own, one at a time: time to first batch, host syncs, peak memory, and
    whether it still computes what the baseline does; a speed-up of one that does not is invalid. Then all are timed in
    turns in one process, in balanced order, so that drift of the machine hits all of them.

    Ctrl-C loses the process in hand, and the rounds; the same command goes on with the rest. What differs by less
    than the baseline does from a second instance of itself is no measurable difference.

    A pair of your own has the rungs that its module declares (`PAIRS`, see bench/pair.py), else a single step.

    Examples: loop-bench ladder --preset tiny --rounds 20

    loop-bench ladder --preset paper --max-time 600 --out results/ladder-paper
    """

    name = "ladder"
    parts = "changes"
    options = (
        "--before",
        "--after",
        "--preset",
        "--script",
        "--seed",
        Option("--max-time", "seconds for the rounds in which all rungs are timed", RealNumber(least=1), "300"),
        Option("--rounds", "exactly so many rounds instead; an interval needs 10", WholeNumber(1)),
        Option("--batches", "batches of each rung in a round", WholeNumber(1), "10"),
        Option(
            "--out",
            "folder for record, tables, plot and what the rungs' processes found",
            Folder(),
            default_words="results/runs/ladder-PRESET",
        ),
        "--on",
    )
    shares_gpu = True
    interrupted = "the same command goes on after the rungs whose processes have come to an end"
    switch = RunSwitch(
        Option(
            "--ladder",
            "time each change between the loops by itself as well, and each left out, for --max-time or --rounds, "
            "into RESULTS/ladder-PRESET, where an interrupted one is gone on with",
            Flag(),
        ),
        without="takes long: --ladder was not given",
        place=2,  # it fills the process with loops, beside which the comparison should not be timed
    )

    def seconds(self, asked: Asked) -> float:
        """At preset paper."""
        rounds = asked["rounds"]
        return 800.0 + float(asked["max_time"] if rounds is None else 1.0 * rounds * asked["batches"])

    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Stages:
        """See Experiment."""
        rungs = pair.ladder(settings)
        limits = LadderLimits(rounds=asked["rounds"], max_time=asked["max_time"])

        def work(folder: Path, tell: Tell) -> LadderRecord:
            with place(asked) as run:
                return climb(rungs, limits, folder, tell, run)

        return Stages(seconds(rungs, limits), work)

    def tidy(self, folder: Path) -> None:
        """See Experiment."""
        forget(folder)

    def causes(self, record: LadderRecord) -> dict[str, list[str]]:
        """See Experiment; a change is timed when its rung is, and the one that it is held against."""
        held_against = {rung.name: record.ladder.reference(rung) for rung in record.ladder.rungs}
        stopped = {
            name: record.stopped.get(name) or record.stopped.get(reference.name, "")
            for name, reference in held_against.items()
            if reference
        }
        return {"changes": [*stopped.values()]}
