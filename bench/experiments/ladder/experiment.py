"""The ladder experiment, as a function and as a command: examines each rung, then times all of them alternately."""

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
"""Name of the folder for the result of a RoundsTrial."""

_EXAMINING = 30.0
"""Rough seconds for a rung's process, at preset paper on two cores."""


def seconds(ladder: Ladder, limits: LadderLimits) -> float:
    """Rough seconds of `climb`; the sum of the weights that it reports."""
    return len(ladder.rungs) * _EXAMINING + seconds_of_rounds(ladder, limits)


def climb(
    ladder: Ladder,
    limits: LadderLimits,
    folder: Path,
    tell: Tell = lambda stage, detail, weight: None,
    run: Run = in_processes,
) -> LadderRecord:
    """Examines each rung in a process of its own, then times all of them alternately in one process.

    The timing process is this one, or, if the rungs were examined on other machines, one on such a machine.

    Args:
        ladder: the rungs.
        limits: limits of the rounds.
        folder: for folders of results; an interrupted ladder resumes there.
        tell: see `loop_bench.experiments.experiment.Tell`.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    machine, examining = environment(), "examining each rung in a process of its own"
    tell(examining, "", 0.0)
    trials = {rung.name: RungTrial.of(ladder, rung) for rung in ladder.rungs}
    # One at a time, because they are timed, and without a cache of compiled programs, because compilation counts.
    results = gather(
        trials.values(),
        folder / "rungs",
        environment=machine,
        progress=lambda name: tell(examining, f": {name} done", _EXAMINING),
        run=run,
    )
    findings = {name: finding(results[trial.key]) for name, trial in trials.items()}
    dead = {name: examined.died for name, examined in findings.items() if examined.died}
    all_trials: list[Trial[Any]] = [*trials.values()]
    all_results: dict[str, Result[Any]] = {**results}
    if isinstance(run, OtherMachines):
        rounds = RoundsTrial.of(ladder, limits, dead)
        all_trials.append(rounds)
        all_results |= _time_on_other_machine(rounds, folder / ROUNDS, machine, tell, run)
        of_one_kind(all_trials, all_results, f"folder {folder}")
        timed = timed_rungs(rounds, all_results[rounds.key])
    else:
        timed = time_rungs(ladder, limits, dead, tell)
    ran = ran_on((trial.title, all_results[trial.key].machine) for trial in all_trials)
    return LadderRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment={**environment_of(ran, machine), "state": timed.state},
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


def _time_on_other_machine(
    trial: RoundsTrial, folder: Path, machine: Mapping[str, Any], tell: Tell, run: Run
) -> Mapping[str, Result[TimedRungs]]:
    """Times the rungs in a process on another machine, of the same kind as those that examined them."""
    tell(TIMING, "", 0.0)
    results = gather([trial], folder, environment=machine, run=run)
    tell(TIMING, "", seconds_of_rounds(trial.ladder, trial.limits))
    return results


def forget(folder: Path) -> None:
    """Removes the rounds of a recorded ladder, so that the next ladder in the folder is timed anew."""
    shutil.rmtree(folder / ROUNDS, ignore_errors=True)


class LadderExperiment(Experiment):
    """Measure what each change between the loops contributes: the baseline, each change added, each left out.

    First each rung runs in a process of its own, one at a time, for its time to first batch, host syncs, peak memory,
    and whether it still computes what the baseline does; if it does not, its speed-up is invalid. Then all rungs are
    timed alternately in one process, in balanced order, so that drift of the machine affects all of them.

    Ctrl-C loses the process in progress and the rounds; the same command resumes the rest. A difference that is
    smaller than that between two instances of the baseline is shown as "no measurable difference".

    A pair of your own has the rungs that its module declares (`PAIRS`, see bench/pair.py), otherwise a single step.

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
        Option("--max-time", "time the rounds of all rungs for this many seconds", RealNumber(least=1), "300"),
        Option(
            "--rounds", "time exactly this many rounds, whatever --max-time says; an interval needs 10", WholeNumber(1)
        ),
        Option("--batches", "batches of each rung in a round", WholeNumber(1), "10"),
        Option(
            "--out",
            "folder for the record, tables, plot and the results of the rungs' processes",
            Folder(),
            default_words="results/runs/ladder-PRESET",
        ),
        "--on",
    )
    shares_gpu = True
    interrupted = "the same command resumes after the last rung whose process has ended"
    switch = RunSwitch(
        Option(
            "--ladder",
            "also time each change between the loops by itself, and the loop after without each, for --max-time or "
            "--rounds; writes to RESULTS/ladder-PRESET, where an interrupted run resumes",
            Flag(),
        ),
        without="takes long: --ladder was not given",
        place=2,  # last, because the loops of all rungs stay in the process and would disturb the timing of others
    )

    def seconds(self, asked: Asked) -> float:
        """See Experiment; of the built-in loops at preset paper."""
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
        """See Experiment; a change is timed if both its rung and the rung's reference are."""
        references = {rung.name: record.ladder.reference(rung) for rung in record.ladder.rungs}
        stopped = {
            name: record.stopped.get(name) or record.stopped.get(reference.name, "")
            for name, reference in references.items()
            if reference
        }
        return {"changes": [*stopped.values()]}
