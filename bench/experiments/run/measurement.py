"""Everything that is measured in one run; pytest and commands drive it alike."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from loop_bench.experiments.equivalence import check
from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.equivalence.side import Side
from loop_bench.experiments.run.record import ArmRecord, Record
from loop_bench.experiments.run.stages import Pace, Stage, StageClock
from loop_bench.experiments.run.subject import Subject
from loop_bench.experiments.survival.experiment import survive
from loop_bench.experiments.survival.plan import SurvivalPlan
from loop_bench.experiments.survival.record import SurvivalRecord
from loop_bench.experiments.syncs.record import HostSyncs, TracedFunction, merged
from loop_bench.experiments.telemetry import trial as telemetry
from loop_bench.experiments.telemetry.record import Telemetry
from loop_bench.jobs import pool
from loop_bench.jobs.gather import Run, in_processes
from loop_bench.loop import load
from loop_bench.machine import environment, gpu
from loop_bench.settings import ARMS, NULL, TIMED, Settings, arm_of
from loop_bench.timing import samples, stopping, work
from loop_bench.timing.clock import warm_up
from loop_bench.timing.rounds import Interleaver, rotated
from loop_bench.timing.samples import Ended, Round, Start
from loop_bench.timing.stopping import StoppingRule

if TYPE_CHECKING:
    from loop_bench.arms.residences import Residences
    from loop_bench.multiworker.company import Company, Together

SUBJECT, SIDE = (f"{each.__module__}:{each.__qualname__}" for each in (Subject, Side.made))
MADE = (SUBJECT, SIDE, telemetry.TRAINEE)
"""What is made in the process of an arm."""


@dataclasses.dataclass
class _Started:
    """A loop that has trained its first batch, and perhaps more."""

    subject: Subject
    trained: int = 0  # batches since, outside of the rounds


class Measurement:
    """Measures what it is asked for, and gathers it for the record.

    The loops whose host syncs are counted are those that are timed afterwards.

    Args:
        settings: which loops, how much work.
        residences: where they live, entered; None: in this process.
        company: the workers that follow this process, entered; None: it trains by itself.

    Attributes:
        settings: those.
        stages: what each stage has taken.
        pace: what the machine has shown of the loops.
        samples_per_batch: by arm, of loops that say so; `check_work` finds it.

    Raises:
        UsageError: a factory that cannot be loaded.
    """

    def __init__(
        self, settings: Settings, residences: Residences | None = None, company: Company | None = None
    ) -> None:
        self.settings = settings
        self._residences, self._company = residences, company
        self._names = {"before": settings.before, "after": settings.after}
        self._found = {arm: ArmRecord(factory=name) for arm, name in self._names.items()}
        self.stages, self.pace = StageClock(), Pace()
        if residences is None:
            if company:
                company.begin((SUBJECT, SIDE))
            for name in self._names.values():
                load(name)  # or it would be said only when it is built
        else:
            residences.begin(MADE)
            for arm in ARMS:
                self._add(arm, residence=residences.residence(arm))
        self._started: dict[str, _Started] = {}  # those that are to be timed, or are
        self._rounds: list[Round] = []  # of groups of processes that are over
        self._group = 0
        self._problems_before: list[str] = []  # of their loops
        self._ended: Ended | None = None
        self._rounds_seconds = 0.0
        self._problems: tuple[str, ...] | None = None  # of the timed loops; None until it is looked at
        self._equivalence: Equivalence | None = None
        self._survival_preset: str | None = None
        self._state: dict[str, Any] | None = None  # of the machine, after the last round
        self._idle: dict[str, float] = {}
        self._idle_gpu: float | None = None
        self.samples_per_batch: dict[str, float] = {}

    @functools.cached_property
    def timed(self) -> Interleaver:
        """Both loops and the null arm, built, warm and ready to be timed in turns."""
        order = rotated(TIMED, self._group)
        subjects = {name: self._started_loop(name).subject for name in order}
        if self._residences and (batches := self._started[ARMS[0]].trained):
            # What a process has done stays with it: that of the null arm does what that of the loop before has.
            self._count(self._started[NULL], batches)
        with self.stages.of(Stage.ROUNDS):
            timers = {name: subjects[name].train for name in TIMED}
            timed = Interleaver(timers, self.settings.batches, self._group)
            # Also of the null arm, where nobody asks: its process is to have done what that of the loop before has.
            looked = {name: (subjects[name].described(), subjects[name].touch_seconds()) for name in order}
            for arm in ARMS:
                described, least = looked[arm]
                self._add(arm, described_first=described, touch_seconds=least)
        return timed

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The complete rounds, of all groups of processes so far."""
        timed = self.__dict__.get("timed")  # asking for it would build the loops
        return (*self._rounds, *(timed.rounds if timed else ()))

    def time_rounds(
        self, tell: Callable[[int, float], None] = lambda rounds, share: None, fewest: int | None = None
    ) -> None:
        """Times rounds until the settings' stopping rule says that there are enough.

        Loops that live elsewhere are timed in one group of processes after the other, each with its share of the rounds
        or of their time: how much one process differs from the next of the same loop shows only so.

        Args:
            tell: is given the number of rounds and the share of the work that is done, before each.
            fewest: rounds, however long they take; None: as few as the rule wants.
        """
        groups = self.settings.processes
        for group in range(groups):
            if group:
                self._begin_group(group)

            def tell_of(number: int, share: float, group: int = group) -> None:
                tell(len(self._rounds) + number, (group + share) / groups)

            rule = stopping.of_group(self.settings, group)
            self._time_group(stopping.AtLeast(-(-fewest // groups), rule) if fewest else rule, tell_of)
        with self.stages.of(Stage.ROUNDS):
            for arm in ARMS:
                self.pace.batch[arm] = float(np.median(samples.milliseconds(self.rounds, arm))) / 1e3
            self._state = environment.state()  # while the device is still as warm as it was

    def _begin_group(self, group: int) -> None:
        """Looks at what the processes until now have done, and begins others in their place, all at a time."""
        assert self._residences is not None
        self._problems_before += [each for each in self._look_at_work() if each not in self._problems_before]
        self._rounds, self._group = [*self.rounds], group
        del self.timed
        with self.stages.of(Stage.BUILD):
            self._residences.begin(MADE)
            self._started = self._residences.together(self._begun)

    def _begun(self, name: str) -> _Started:
        """A loop in a process that has nothing else, after its first batch; how long that took is not asked."""
        subject = self._subject(name)
        subject.begin()
        return _Started(subject)

    def _time_group(self, rule: StoppingRule, tell: Callable[[int, float], None]) -> None:
        timed = self.timed
        with self.stages.of(Stage.ROUNDS):
            for name in TIMED:
                self._started[name].subject.watch()
            if self._residences:
                self._look_at_gpu()
                self._residences.forget_idle()
            ended, seconds = timed.run(rule, tell)
            self._rounds_seconds += seconds
            self._ended = ended if self._ended in (None, ended) else "out of time"
            if self._residences:
                self._idle = {
                    name: max(share, self._idle.get(name, 0)) for name, share in self._residences.idle().items()
                }
                self._look_at_gpu()
            for arm in ARMS:
                # Each group of processes traces what one process does: the most that a function had in any.
                now = map(TracedFunction.model_validate, self._started[arm].subject.traced())
                self._add(arm, traced=merged([*(self._found[arm].traced or ()), *now], max))

    def _look_at_gpu(self) -> None:
        """What the GPU does while nothing is asked of any loop, the most that was seen."""
        busy = gpu.busy_now()
        if busy is not None:
            self._idle_gpu = max(busy, self._idle_gpu or 0.0)

    @property
    def homes(self) -> dict[str, str]:
        """Where each arm lives, as text; empty where both live in this process."""
        return {arm: found.residence.text for arm, found in self._found.items() if found.residence}

    def limit_rounds(self, seconds: float) -> None:
        """Gives the rounds so many seconds, whatever the settings were made with."""
        self.settings = self.settings.model_copy(update={"max_time": seconds})

    def check_work(self) -> None:
        """Keeps the timed loops' histories, and what speaks against their having done their work."""
        self._problems = tuple(dict.fromkeys([*self._problems_before, *self._look_at_work()]))

    def _look_at_work(self) -> list[str]:
        """What speaks against the work of the loops that are there."""
        done = {name: work.Work(**each.subject.work()) for name, each in self._started.items()}
        for arm in ARMS:
            metrics = {metric: tuple(values.tolist()) for metric, values in done[arm].metrics.items()}
            self._add(arm, history=metrics, described_last=done[arm].described)
        said = {arm: done[arm].samples_per_batch for arm in ARMS}
        self.samples_per_batch = {arm: samples for arm, samples in said.items() if samples is not None}
        found = [f"{name}: {problem}" for name in TIMED for problem in done[name].problems()]
        return [*found, *self._machines_apart(), *work.unequal(done["before"], done["after"], ARMS)]

    def _machines_apart(self) -> Iterator[str]:
        """Loops whose weights are not the same on all machines, in words."""
        for name, begun in self._started.items() if self._company else ():
            chief, *workers = cast("Together", begun.subject).everywhere("digest")
            others = [str(index) for index, digest in enumerate(workers, start=1) if digest != chief]
            if others:
                yield f"{name}: its weights are not those of the chief on worker {', '.join(others)}"

    def check_equivalence(self, options: Mapping[str, Any]) -> Equivalence:
        """Whether both loops compute the same thing.

        Args:
            options: with which they should.
        """
        both = {**self.settings.options, **options}
        with self.stages.of(Stage.EQUIVALENCE):
            before, after = (self._side(arm, both) for arm in ARMS)
            self._equivalence = check.equivalence(before, after, dict(options))
        return self._equivalence

    def count_host_syncs(self, arm: str, batches: int) -> HostSyncs:
        """Counts the host's reads of the device in a loop that has only trained its first batch."""
        if (begun := self._started_loop(arm)).trained or "timed" in self.__dict__:
            begun = self._start(arm)
        began = time.perf_counter()
        found = HostSyncs.model_validate(self._count(begun, batches))
        self.pace.batch[arm] = (time.perf_counter() - began) / batches
        self._add(arm, host_syncs=found)
        return found

    def _count(self, begun: _Started, batches: int) -> dict[str, Any]:
        with self.stages.of(Stage.SYNCS):
            found = begun.subject.count(batches, bool(gpu.states()))
        begun.trained = batches
        return found

    def survive(
        self,
        plan: SurvivalPlan,
        folder: Path,
        shown: tuple[str, ...] = (),
        tell: Callable[[str], None] = lambda title: None,
        run: Run = in_processes,
    ) -> SurvivalRecord:
        """Puts fresh loops through faults, each in a process of its own.

        Args:
            plan: what to try.
            folder: for the trials.
            shown: faults whose metrics are kept batch by batch.
            tell: is told the title of each that is done.
            run: where the trials run.
        """
        self._end_timed()
        with self.stages.of(Stage.SURVIVAL):
            found = survive(plan, folder, pool.workers(), shown, tell, run)
        for arm in ARMS:
            self._add(arm, survivals=found.survivals[arm])
        self._survival_preset = plan.preset
        return found

    def watch(
        self,
        seconds: float,
        folder: Path,
        tell: Callable[[str], None] = lambda arm: None,
        run: Run = in_processes,
    ) -> dict[str, Telemetry]:
        """What fresh loops make of the machine, each in a process of its own.

        Args:
            seconds: of uninterrupted training, roughly.
            folder: for what the processes leave.
            tell: is told of each arm that is done.
            run: where the trials run.
        """
        self._end_timed()
        with self.stages.of(Stage.UTILISATION):
            if self._residences:
                found = telemetry.watch_elsewhere(self.settings, seconds, self._residences.another, tell)
            else:
                found = telemetry.watch(self.settings, seconds, folder, tell, run)
        for arm in ARMS:
            starts = (*self._found[arm].starts, *filter(None, [found[arm].start]))
            self._add(arm, telemetry=found[arm], starts=starts)
        return found

    def _end_timed(self) -> None:
        """Ends the processes of timed loops, which would take of the machine what others need."""
        if self._residences and "timed" in self.__dict__:
            self._residences.end()

    def record(self) -> Record:
        """What was found."""
        return Record(
            created=datetime.datetime.now(datetime.timezone.utc),
            settings=self.settings,
            environment={**environment.environment(), "state": self._state or environment.state()},
            arms=self._found,
            rounds=self.rounds,
            rounds_ended=self._ended,
            rounds_seconds=self._rounds_seconds,
            equivalence=self._equivalence,
            survival_preset=self._survival_preset,
            problems=self._problems,
            idle=self._idle,
            idle_gpu=self._idle_gpu,
            machines=self._company.machines if self._company else (),
            stages=dict(self.stages.seconds),
        )

    def _started_loop(self, name: str) -> _Started:
        """The loop of a name in TIMED that is to be timed, or is; built when it is first asked for."""
        if name not in self._started:
            self._started[name] = self._start(name)
        return self._started[name]

    def _start(self, name: str) -> _Started:
        """A fresh loop, and how long it took to its first batch."""
        arm = arm_of(name)
        with self.stages.of(Stage.BUILD):
            subject = self._subject(name)
            if self._residences:
                if name not in self._started:
                    subject.warm_up()
            elif not any(found.starts for found in self._found.values()):
                self._warm_up()
            took = Start(**dict(zip(("build_seconds", "first_batch_seconds"), subject.start(), strict=True)))
        self._add(arm, starts=(*self._found[arm].starts, took))
        self.pace.first_batch[arm] = took.seconds
        return _Started(subject)

    def _warm_up(self) -> None:
        """Has this process, and any that follows it, do what it does only once."""
        subjects = [self._subject(arm) for arm in ARMS]
        if self._company is None:
            warm_up(*(each.build for each in subjects))
            return
        for each in subjects:
            each.warm_up()

    def _subject(self, name: str) -> Subject:
        """A loop of a name in TIMED that is not built yet, in the process in which it lives."""
        arm, settings = arm_of(name), self.settings
        what = self._names[arm], settings.preset, settings.seed, settings.options, arm
        if self._company:
            return cast(Subject, self._company.make(SUBJECT, *what))  # answers as one
        if self._residences is None:
            return Subject(*what)
        return cast(Subject, self._residences.process(name).make(SUBJECT, *what))  # answers as one

    def _side(self, arm: str, options: Mapping[str, Any]) -> Side:
        """A fresh loop to be held against another one, in the process in which it lives."""
        what = self._names[arm], self.settings.preset, self.settings.seed, options, arm
        if self._company:
            return cast(Side, self._company.make(SIDE, *what))
        if self._residences is None:
            return Side.made(*what)
        return cast(Side, self._residences.process(arm).make(SIDE, *what))

    def _add(self, arm: str, **found: object) -> None:
        self._found[arm] = ArmRecord(**{**dict(self._found[arm]), **found})
