"""A ladder from beginning to end: looking at each rung, timing all of them, and what it leaves."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.experiments.ladder.plan import Ladder
from bench.experiments.ladder.record import LadderLimits, LadderRecord
from bench.experiments.ladder.trial import RungTrial, finding
from bench.jobs.gather import Run, gather, in_processes
from bench.machine.environment import environment, state
from bench.timing import stopping

if TYPE_CHECKING:  # it imports TensorFlow, which wrong arguments should not wait for
    pass

_LOOKING, _BUILDING, _BATCH = 30.0, 8.0, 0.05
"""Rough seconds for a rung's process, to build and warm up a loop, and for a batch, at preset paper on two cores."""

Tell = Callable[[str, str, float], None]
"""Is told what is running, a detail of it, and the weight of what was done since it was told last."""


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
        tell: see `Tell`.
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
    from bench.experiments.ladder.turns import Turns

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
        created=datetime.datetime.now(datetime.UTC),
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
