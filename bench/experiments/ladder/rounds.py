"""The rounds of a ladder: times the loops of all rungs alternately in one process."""

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
"""Titles of the two stages, for the progress display."""


class Turns:
    """The loops of all rungs in this process, warm and ready to be timed alternately.

    A second instance of the baseline is timed as the null arm, which shows the noise of the run.

    Args:
        ladder: the ladder.
        dead: rungs that are not built, because they would end the process; each with the cause of its death.
        progress: called with each rung whose loop was built or has failed.

    Attributes:
        timed: the loops that are timed.
        stopped: by rung, why it is not timed, or no longer.
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
                except Exception as error:  # for example, the other loops have left too little memory
                    self._stop(name, error)
            progress(name)
        self.timed = Interleaver(timers, ladder.batches, failed=self._stop)  # warms them up

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The complete rounds, for the record."""
        return tuple(Turn(order=timed.order, seconds=timed.seconds) for timed in self.timed.rounds)

    def problems(self) -> dict[str, tuple[str, ...]]:
        """The signs that rungs did not do the work that they were timed for; rungs without any are left out."""
        works = {name: self._witnesses[name].work(self.timed.trained[name]) for name in self.timed.timers}
        baseline, problems = self._ladder.baseline.name, {}
        for name, of_rung in works.items():
            unequal = work.unequal(works[baseline], of_rung, (baseline, name)) if baseline in works else []
            problems[name] = (*of_rung.problems(), *unequal)
        return {name: of_rung for name, of_rung in problems.items() if of_rung}

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
    """The results of the rounds; fields as in LadderRecord."""

    rounds: tuple[Turn, ...]
    ended: Ended | None  # None: no loop was left to time
    seconds: NotNegative  # wall clock from the first round to the last
    stopped: dict[str, str]
    problems: dict[str, tuple[str, ...]]
    state: dict[str, Any]  # of the machine, after the last round


def seconds_of_rounds(ladder: Ladder, limits: LadderLimits) -> float:
    """Rough seconds to build all loops and time the rounds; the sum of the weights that `time_rungs` reports."""
    return (len(ladder.rungs) + 1) * _BUILDING + _timing_seconds(ladder, limits)


def time_rungs(
    ladder: Ladder, limits: LadderLimits, dead: Mapping[str, str], tell: Tell = lambda stage, detail, weight: None
) -> TimedRungs:
    """Builds the loops of all rungs and times them alternately in this process.

    Args:
        ladder: the rungs.
        limits: limits of the rounds.
        dead: see Turns.
        tell: see `loop_bench.experiments.experiment.Tell`.
    """
    tell(BUILDING, "", 0.0)
    turns = Turns(ladder, dead, lambda name: tell(BUILDING, f": {name} done", _BUILDING))
    weight, reported = _timing_seconds(ladder, limits), 0.0

    def progress(rounds: int, share: float) -> None:
        nonlocal reported
        tell(TIMING, f": round {rounds + 1}", weight * (share - reported))
        reported = share

    ended, seconds = turns.timed.run(stopping.rule(limits.rounds, limits.max_time), progress)
    return TimedRungs(
        rounds=turns.turns,
        ended=ended,
        seconds=seconds,
        stopped=turns.stopped,
        problems=turns.problems(),
        state=state(),
    )


def _timing_seconds(ladder: Ladder, limits: LadderLimits) -> float:
    seconds_of_round = (len(ladder.rungs) + 1) * ladder.batches * _BATCH
    return limits.max_time if limits.rounds is None else limits.rounds * seconds_of_round


_STARTING = 1200.0
"""Time limit in seconds for building the loops of all rungs; a process that takes longer hangs."""

_A_DAY = 86400.0
"""Time limit in seconds for a given number of rounds."""


class RoundsTrial(Trial[TimedRungs]):
    """The rounds as a trial, for timing them on another machine."""

    work: ClassVar[str] = "loop_bench.experiments.ladder.rounds:time_trial"
    finding: ClassVar[type[TimedRungs]] = TimedRungs
    is_timed: ClassVar[bool] = True

    ladder: Ladder
    limits: LadderLimits
    dead: dict[str, str]

    @classmethod
    def of(cls, ladder: Ladder, limits: LadderLimits, dead: Mapping[str, str]) -> Self:
        """The trial of a ladder."""
        timing = limits.max_time if limits.rounds is None else _A_DAY
        return cls(ladder=ladder, limits=limits, dead=dict(dead), time_limit=_STARTING + timing)

    @property
    def title(self) -> str:
        return "the rounds of all rungs"

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return tuple((rung.factory, rung.options) for rung in self.ladder.rungs)


def time_trial(trial: RoundsTrial) -> TimedRungs:
    """Runs a trial in this process."""
    return time_rungs(trial.ladder, trial.limits, trial.dead)


def timed_rungs(trial: RoundsTrial, result: Result[TimedRungs]) -> TimedRungs:
    """The results of a trial; if its process died, all rungs are stopped."""
    if result.found:
        return result.found
    stopped = dict.fromkeys((*_names(trial.ladder), NULL), f"{result.died} (while the rungs were timed)")
    return TimedRungs(rounds=(), ended=None, seconds=0.0, stopped={**stopped, **trial.dead}, problems={}, state={})


def _names(ladder: Ladder) -> list[str]:
    return [rung.name for rung in ladder.rungs]
