"""A ladder from beginning to end: looking at each rung, timing all of them, and what it leaves."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.progress import ProgressDisplay
from bench.experiments.ladder import processes
from bench.experiments.ladder.plan import Ladder
from bench.experiments.ladder.record import LadderRecord, Limits
from bench.machine.environment import environment, state
from bench.timing.samples import Ended

if TYPE_CHECKING:  # it imports TensorFlow, which wrong arguments should not wait for
    from bench.experiments.ladder.turns import Turns

_LOOKING, _BUILDING, _BATCH = 30.0, 8.0, 0.05
"""Rough seconds for a rung's process, to build and warm up a loop, and for a batch, at preset paper on two cores."""

Tell = Callable[[str, str, float], None]
"""Is told what is running, a detail of it, and the weight of what was done since it was told last."""


def seconds(ladder: Ladder, limits: Limits) -> float:
    """Roughly how long it takes to climb; the weights that `climb` tells add up to it."""
    rungs = len(ladder.rungs)
    return rungs * _LOOKING + (rungs + 1) * _BUILDING + _seconds_of_rounds(ladder, limits)


def shown_by(display: ProgressDisplay, scale: float = 1.0) -> Tell:
    """Has a display show it.

    Args:
        display: to show it.
        scale: weights there for weights here.
    """

    def tell(stage: str, detail: str, weight: float) -> None:
        display.advance(scale * weight)
        display.stage(stage, detail)

    return tell


def climb(
    ladder: Ladder, limits: Limits, folder: Path, tell: Tell = lambda stage, detail, weight: None
) -> LadderRecord:
    """Looks at each rung in a process of its own, then times all of them in turns in this one.

    Args:
        ladder: the rungs.
        limits: of the rounds.
        folder: for a folder `rungs` of what processes have found; one in which they were interrupted is gone on with.
        tell: see `Tell`.

    Raises:
        UsageError: see `processes.find`.
    """
    here, looking = environment(), "looking at each rung in a process of its own"
    tell(looking, "", 0.0)
    findings = processes.find(ladder, folder / "rungs", here, lambda name: tell(looking, f": {name} done", _LOOKING))
    from bench.experiments.ladder.turns import Turns

    building = "building all rungs: tracing, compiling, warming up"
    tell(building, "", 0.0)
    dead = {name: found.died for name, found in findings.items() if found.died}
    turns = Turns(ladder, dead, lambda name: tell(building, f": {name} done", _BUILDING))
    ended, took = _time(turns, ladder, limits, tell)
    return LadderRecord(
        created=datetime.datetime.now(datetime.UTC),
        environment={**here, "state": state()},
        ladder=ladder,
        findings=findings,
        limits=limits,
        rounds=tuple(turns.rounds),
        rounds_ended=ended,
        rounds_seconds=took,
        stopped=turns.stopped,
        problems=turns.problems(),
    )


def _time(turns: Turns, ladder: Ladder, limits: Limits, tell: Tell) -> tuple[Ended | None, float]:
    """Rounds until the limits are met; why they ended, None when no loop was left, and their seconds."""
    weight, told, started = _seconds_of_rounds(ladder, limits), 0.0, time.perf_counter()
    ended: Ended | None = None
    while turns.loops:
        took = time.perf_counter() - started
        if ended := limits.ended(len(turns.rounds), took):
            break
        share = limits.share(len(turns.rounds), took)
        tell("timing the rungs in turns", f": round {len(turns.rounds) + 1}", weight * (share - told))
        told = share
        turns.round()
    return ended, time.perf_counter() - started


def _seconds_of_rounds(ladder: Ladder, limits: Limits) -> float:
    a_round = (len(ladder.rungs) + 1) * ladder.batches * _BATCH
    return limits.max_time if limits.rounds is None else limits.rounds * a_round
