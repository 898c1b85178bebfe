"""The rounds of a ladder: the loops of all rungs in one process, timed in turns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from typing_extensions import Self

from loop_bench.document import Frozen, NotNegative
from loop_bench.experiments.experiment import Tell
from loop_bench.experiments.ladder.plan import Ladder, Rung
from loop_bench.experiments.ladder.record import LadderLimits, Turn
from loop_bench.failure import error_line
from loop_bench.jobs.trial import Result, Trial
from loop_bench.loop import LoopSpec, TrainingLoop, build, load
from loop_bench.machine.environment import state
from loop_bench.settings import NULL
from loop_bench.timing import clock, stopping, work
from loop_bench.timing.rounds import Interleaver, Timer
from loop_bench.timing.samples import Ended

BUILDING, TIMING = "building all rungs: tracing, compiling, warming up", "timing the rungs in turns"
"""What is told to be running."""


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


_BUILDING, _BATCH = 8.0, 0.05
"""Rough seconds to build and warm up a loop, and for a batch, at preset paper on two cores."""


class TimedRungs(Frozen):
    """What the rounds have come to."""

    rounds: tuple[Turn, ...]
    ended: Ended | None  # None when no loop was left to time
    seconds: NotNegative  # wall clock from the first round to the last
    stopped: dict[str, str]  # why a rung was not timed, or no further; with the null arm
    problems: dict[str, tuple[str, ...]]  # that timed loops had with their work
    state: dict[str, Any]  # of the machine, after the last round


def seconds_of_rounds(ladder: Ladder, limits: LadderLimits) -> float:
    """Roughly how long the rounds take with building all loops; the weights that `time_rungs` tells add up to it."""
    return (len(ladder.rungs) + 1) * _BUILDING + _in_turns(ladder, limits)


def time_rungs(
    ladder: Ladder, limits: LadderLimits, dead: Mapping[str, str], tell: Tell = lambda stage, detail, weight: None
) -> TimedRungs:
    """Builds the loops of all rungs, and times them in turns, in this process.

    Args:
        ladder: the rungs.
        limits: of the rounds.
        dead: see Turns.
        tell: see `loop_bench.experiments.experiment.Tell`.
    """
    tell(BUILDING, "", 0.0)
    turns = Turns(ladder, dead, lambda name: tell(BUILDING, f": {name} done", _BUILDING))
    weight, told = _in_turns(ladder, limits), 0.0

    def progress(rounds: int, share: float) -> None:
        nonlocal told
        tell(TIMING, f": round {rounds + 1}", weight * (share - told))
        told = share

    ended, took = turns.timed.run(stopping.rule(limits.rounds, limits.max_time), progress)
    return TimedRungs(
        rounds=turns.turns,
        ended=ended,
        seconds=took,
        stopped=turns.stopped,
        problems=turns.problems(),
        state=state(),
    )


def _in_turns(ladder: Ladder, limits: LadderLimits) -> float:
    a_round = (len(ladder.rungs) + 1) * ladder.batches * _BATCH
    return limits.max_time if limits.rounds is None else limits.rounds * a_round


_STARTING = 1200.0
"""Seconds in which the loops of all rungs are built; what takes longer hangs."""

_A_DAY = 86400.0
"""Seconds for rounds that are wanted however long they take."""


class RoundsTrial(Trial[TimedRungs]):
    """The rounds, where they are not timed in the process of the command."""

    work: ClassVar[str] = "loop_bench.experiments.ladder.rounds:time_trial"
    finding: ClassVar[type[TimedRungs]] = TimedRungs
    is_timed: ClassVar[bool] = True

    ladder: Ladder
    limits: LadderLimits
    dead: dict[str, str]

    @classmethod
    def of(cls, ladder: Ladder, limits: LadderLimits, dead: Mapping[str, str]) -> Self:
        """The trial of a ladder."""
        in_turns = limits.max_time if limits.rounds is None else _A_DAY
        return cls(ladder=ladder, limits=limits, dead=dict(dead), time_limit=_STARTING + in_turns)

    @property
    def title(self) -> str:
        return "the rounds of all rungs"

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return tuple((rung.factory, rung.options) for rung in self.ladder.rungs)


def time_trial(trial: RoundsTrial) -> TimedRungs:
    """Does the work of a trial."""
    return time_rungs(trial.ladder, trial.limits, trial.dead)


def timed_rungs(trial: RoundsTrial, result: Result[TimedRungs]) -> TimedRungs:
    """What is known of the rounds; where their process died, no rung has been timed."""
    if result.found:
        return result.found
    stopped = dict.fromkeys((*_names(trial.ladder), NULL), f"{result.died} (while the rungs were timed)")
    return TimedRungs(rounds=(), ended=None, seconds=0.0, stopped={**stopped, **trial.dead}, problems={}, state={})


def _names(ladder: Ladder) -> list[str]:
    return [rung.name for rung in ladder.rungs]
