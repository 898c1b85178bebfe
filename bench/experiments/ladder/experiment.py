"""A ladder from beginning to end: each rung examined by itself, all timed in turns, and the record."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Mapping
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
)
from loop_bench.experiments.ladder.plan import Ladder, Rung
from loop_bench.experiments.ladder.record import LadderLimits, LadderRecord, Turn
from loop_bench.experiments.ladder.trial import RungTrial, finding
from loop_bench.failure import error_line
from loop_bench.jobs.gather import Run, gather, in_processes
from loop_bench.loop import LoopSpec, TrainingLoop, build, load
from loop_bench.machine.environment import environment, state
from loop_bench.settings import NULL, Settings
from loop_bench.timing import clock, stopping, work
from loop_bench.timing.rounds import Interleaver, Timer


class Turns:
    """The loops of all rungs, warm and ready to be timed in turns.

    A second instance of the baseline takes part: what a run finds between the two is its own noise.

    Args:
        ladder: of the loops.
        dead: rungs that are not to be tried, since they end their process; each with what it died of.
        progress: is told of each rung when its loop is built, or has failed.

    Attributes:
        timed: those that take part, in turns.
        stopped: why a rung takes no part any more, by its name.
    """

    def __init__(
        self, ladder: Ladder, dead: Mapping[str, str], progress: Callable[[str], None] = lambda name: None
    ) -> None:
        self.stopped = dict(dead)
        self._ladder = ladder
        self._witnesses: dict[str, work.Witness] = {}
        timers: dict[str, Timer] = {}
        for name, rung in {**{rung.name: rung for rung in ladder.rungs}, NULL: ladder.baseline}.items():
            if rung.name not in dead:
                try:
                    timers[name] = functools.partial(clock.seconds_for, self._begin(name, rung))
                except Exception as error:  # as when the loops that are there already have left too little memory
                    self._stop(name, error)
            progress(name)
        self.timed = Interleaver(timers, ladder.batches, failed=self._stop)  # warms them up

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The complete rounds, as a record keeps them."""
        return tuple(Turn(order=done.order, seconds=done.seconds) for done in self.timed.rounds)

    def problems(self) -> dict[str, tuple[str, ...]]:
        """What speaks against rungs having done the work that they were timed for; nothing of those without."""
        done = {name: self._witnesses[name].work(self.timed.trained[name]) for name in self.timed.timers}
        baseline, found = self._ladder.baseline.name, {}
        for name, its in done.items():
            than = work.unequal(done[baseline], its, (baseline, name)) if baseline in done else []
            found[name] = (*its.problems(), *than)
        return {name: problems for name, problems in found.items() if problems}

    def _begin(self, name: str, rung: Rung) -> TrainingLoop:
        spec = LoopSpec(self._ladder.preset, self._ladder.seed, rung.options)
        loop = build(rung.factory, load(rung.factory), spec, name)
        loop.run(1)  # traces and compiles
        self._witnesses[name] = work.Witness(loop)
        return loop

    def _stop(self, name: str, error: Exception) -> None:
        self.stopped[name] = f"crashed while the rungs were timed: {error_line(error)}"


_LOOKING, _BUILDING, _BATCH = 30.0, 8.0, 0.05
"""Rough seconds for a rung's process, to build and warm up a loop, and for a batch, at preset paper on two cores."""


def seconds(ladder: Ladder, limits: LadderLimits) -> float:
    """Roughly how long it takes to climb; the weights that `climb` tells add up to it."""
    rungs = len(ladder.rungs)
    return rungs * _LOOKING + (rungs + 1) * _BUILDING + _seconds_of_rounds(ladder, limits)


def climb(
    ladder: Ladder,
    limits: LadderLimits,
    folder: Path,
    tell: Tell = lambda stage, detail, weight: None,
    run: Run = in_processes,
) -> LadderRecord:
    """Looks at each rung in a process of its own, then times all of them in turns in this one.

    Args:
        ladder: the rungs.
        limits: of the rounds.
        folder: for a folder `rungs` of results; an interrupted ladder resumes there.
        tell: see `loop_bench.experiments.experiment.Tell`.
        run: where the trials of the rungs run.

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

    building = "building all rungs: tracing, compiling, warming up"
    tell(building, "", 0.0)
    dead = {name: found.died for name, found in findings.items() if found.died}
    turns = Turns(ladder, dead, lambda name: tell(building, f": {name} done", _BUILDING))
    weight, told = _seconds_of_rounds(ladder, limits), 0.0

    def progress(rounds: int, share: float) -> None:
        nonlocal told
        tell("timing the rungs in turns", f": round {rounds + 1}", weight * (share - told))
        told = share

    ended, took = turns.timed.run(stopping.rule(limits.rounds, limits.max_time), progress)
    return LadderRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment={**here, "state": state()},
        ladder=ladder,
        findings=findings,
        limits=limits,
        rounds=turns.turns,
        rounds_ended=ended,
        rounds_seconds=took,
        stopped=turns.stopped,
        problems=turns.problems(),
    )


def _seconds_of_rounds(ladder: Ladder, limits: LadderLimits) -> float:
    a_round = (len(ladder.rungs) + 1) * ladder.batches * _BATCH
    return limits.max_time if limits.rounds is None else limits.rounds * a_round


class LadderExperiment(Experiment):
    """Find out which change between the loops brings what: baseline, then one change at a time, then each left out.

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
        return Stages(seconds(rungs, limits), lambda folder, tell: climb(rungs, limits, folder, tell))

    def causes(self, record: LadderRecord) -> dict[str, list[str]]:
        """See Experiment; a change is timed when its rung is, and the one that it is held against."""
        held_against = {rung.name: record.ladder.reference(rung) for rung in record.ladder.rungs}
        stopped = {
            name: record.stopped.get(name) or record.stopped.get(reference.name, "")
            for name, reference in held_against.items()
            if reference
        }
        return {"changes": [*stopped.values()]}
