"""The measurements of one run, which pytest drives stage by stage and which end in a record."""

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
"""The classes that may be instantiated in the process of an arm."""


@dataclasses.dataclass
class _Started:
    """A loop that has trained at least its first batch."""

    subject: Subject
    trained: int = 0  # batches since the first, outside of the rounds


class Measurement:
    """Measures the stages of a run, each on request, and collects the results for the record.

    The loops whose host syncs are counted are the ones that are timed afterwards.

    Args:
        settings: which loops, how much work.
        residences: environments of the arms, entered; None: both arms run in this process.
        company: the workers that follow this process, entered; None: it trains by itself.

    Attributes:
        settings: which loops, how much work.
        stages: the seconds that each stage took.
        pace: the pace of the loops on this machine, as measured so far.
        samples_per_batch: by arm, for loops that report it; set by `check_work`.

    Raises:
        UsageError: a factory cannot be loaded.
    """

    def __init__(
        self, settings: Settings, residences: Residences | None = None, company: Company | None = None
    ) -> None:
        self.settings = settings
        self._residences, self._company = residences, company
        self._names = {"before": settings.before, "after": settings.after}
        self._arms = {arm: ArmRecord(factory=name) for arm, name in self._names.items()}
        self.stages, self.pace = StageClock(), Pace()
        if residences is None:
            if company:
                company.begin((SUBJECT, SIDE))
            for name in self._names.values():
                load(name)  # a wrong name fails now, not only when the loop is built
        else:
            residences.begin(MADE)
            for arm in ARMS:
                self._add(arm, residence=residences.residence(arm))
        self._started: dict[str, _Started] = {}  # the timed loops, by their names in TIMED
        self._rounds: list[Round] = []  # of groups of processes that have ended
        self._group = 0
        self._earlier_problems: list[str] = []  # of the loops of those groups
        self._ended: Ended | None = None
        self._rounds_seconds = 0.0
        self._problems: tuple[str, ...] | None = None  # of the timed loops; None: not checked yet
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
            # A process's history affects its times, so the null arm's process does all that the loop before's did.
            self._count(self._started[NULL], batches)
        with self.stages.of(Stage.ROUNDS):
            timers = {name: subjects[name].train for name in TIMED}
            timed = Interleaver(timers, self.settings.batches, self._group)
            # Also for the null arm, although its values are not used: its process must have the same history.
            queried = {name: (subjects[name].described(), subjects[name].touch_seconds()) for name in order}
            for arm in ARMS:
                described, touch_seconds = queried[arm]
                self._add(arm, described_first=described, touch_seconds=touch_seconds)
        return timed

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The complete rounds, of all groups of processes so far."""
        timed = self.__dict__.get("timed")  # reading the property would build the loops
        return (*self._rounds, *(timed.rounds if timed else ()))

    def time_rounds(
        self, tell: Callable[[int, float], None] = lambda rounds, share: None, fewest: int | None = None
    ) -> None:
        """Times rounds until the settings' stopping rule ends them.

        Loops in processes of their own are timed in consecutive groups of processes, each with its share of the rounds
        or of their time, which shows the variation between processes of the same loop.

        Args:
            tell: called before each round with the number of rounds and the share of the work that is done.
            fewest: least number of rounds, however long they take; None: as few as the rule allows.
        """
        groups = self.settings.processes
        for group in range(groups):
            if group:
                self._begin_group(group)

            def tell_of_all(number: int, share: float, group: int = group) -> None:
                tell(len(self._rounds) + number, (group + share) / groups)

            rule = stopping.of_group(self.settings, group)
            self._time_group(stopping.AtLeast(-(-fewest // groups), rule) if fewest else rule, tell_of_all)
        with self.stages.of(Stage.ROUNDS):
            for arm in ARMS:
                self.pace.batch[arm] = float(np.median(samples.milliseconds(self.rounds, arm))) / 1e3
            self._state = environment.state()  # before the device cools down

    def _begin_group(self, group: int) -> None:
        """Checks the work of the current group of processes, and replaces it by a new group, started in parallel."""
        assert self._residences is not None
        self._earlier_problems += [
            problem for problem in self._find_problems() if problem not in self._earlier_problems
        ]
        self._rounds, self._group = [*self.rounds], group
        del self.timed
        with self.stages.of(Stage.BUILD):
            self._residences.begin(MADE)
            self._started = self._residences.together(self._begun)

    def _begun(self, name: str) -> _Started:
        """A loop in a fresh process, after its first batch, whose duration is not measured."""
        subject = self._subject(name)
        subject.begin()
        return _Started(subject)

    def _time_group(self, rule: StoppingRule, tell: Callable[[int, float], None]) -> None:
        timed = self.timed
        with self.stages.of(Stage.ROUNDS):
            for name in TIMED:
                self._started[name].subject.watch()
            if self._residences:
                self._check_idle_gpu()
                self._residences.forget_idle()
            ended, seconds = timed.run(rule, tell)
            self._rounds_seconds += seconds
            self._ended = ended if self._ended in (None, ended) else "out of time"
            if self._residences:
                self._idle = {
                    name: max(share, self._idle.get(name, 0)) for name, share in self._residences.idle().items()
                }
                self._check_idle_gpu()
            for arm in ARMS:
                # Every group of processes traces the same functions, so the most traces in any group are kept.
                traced = map(TracedFunction.model_validate, self._started[arm].subject.traced())
                self._add(arm, traced=merged([*(self._arms[arm].traced or ()), *traced], max))

    def _check_idle_gpu(self) -> None:
        """Records the largest load of the GPU that was seen while no loop was running."""
        busy = gpu.busy_now()
        if busy is not None:
            self._idle_gpu = max(busy, self._idle_gpu or 0.0)

    @property
    def homes(self) -> dict[str, str]:
        """The environment of each arm, as text; empty: both arms run in this process."""
        return {arm: record.residence.text for arm, record in self._arms.items() if record.residence}

    def limit_rounds(self, seconds: float) -> None:
        """Sets the time limit of the rounds, replacing that of the settings."""
        self.settings = self.settings.model_copy(update={"max_time": seconds})

    def check_work(self) -> None:
        """Records the timed loops' metrics, and the signs that they did not train as they should."""
        self._problems = tuple(dict.fromkeys([*self._earlier_problems, *self._find_problems()]))

    def _find_problems(self) -> list[str]:
        """Records the metrics of the current loops; returns the signs that they did not train as they should."""
        works = {name: work.Work(**started.subject.work()) for name, started in self._started.items()}
        for arm in ARMS:
            metrics = {metric: tuple(values.tolist()) for metric, values in works[arm].metrics.items()}
            self._add(arm, history=metrics, described_last=works[arm].described)
        reported = {arm: works[arm].samples_per_batch for arm in ARMS}
        self.samples_per_batch = {arm: samples for arm, samples in reported.items() if samples is not None}
        problems = [f"{name}: {problem}" for name in TIMED for problem in works[name].problems()]
        return [*problems, *self._diverged_machines(), *work.unequal(works["before"], works["after"], ARMS)]

    def _diverged_machines(self) -> Iterator[str]:
        """The loops whose weights differ between machines, in words."""
        for name, started in self._started.items() if self._company else ():
            chief, *workers = cast("Together", started.subject).everywhere("digest")
            diverged = [str(index) for index, digest in enumerate(workers, start=1) if digest != chief]
            if diverged:
                yield f"{name}: its weights differ from the chief's on worker {', '.join(diverged)}"

    def check_equivalence(self, options: Mapping[str, Any]) -> Equivalence:
        """Checks whether both loops compute the same thing.

        Args:
            options: options of the loops under which they should.
        """
        all_options = {**self.settings.options, **options}
        with self.stages.of(Stage.EQUIVALENCE):
            before, after = (self._side(arm, all_options) for arm in ARMS)
            self._equivalence = check.equivalence(before, after, dict(options))
        return self._equivalence

    def count_host_syncs(self, arm: str, batches: int) -> HostSyncs:
        """Counts the host's reads of the device in a loop that has trained only its first batch."""
        if (started := self._started_loop(arm)).trained or "timed" in self.__dict__:
            started = self._start(arm)
        began = time.perf_counter()
        host_syncs = HostSyncs.model_validate(self._count(started, batches))
        self.pace.batch[arm] = (time.perf_counter() - began) / batches
        self._add(arm, host_syncs=host_syncs)
        return host_syncs

    def _count(self, started: _Started, batches: int) -> dict[str, Any]:
        with self.stages.of(Stage.SYNCS):
            counted = started.subject.count(batches, bool(gpu.states()))
        started.trained = batches
        return counted

    def survive(
        self,
        plan: SurvivalPlan,
        folder: Path,
        shown: tuple[str, ...] = (),
        tell: Callable[[str], None] = lambda title: None,
        run: Run = in_processes,
    ) -> SurvivalRecord:
        """Injects faults into fresh loops, each in a process of its own.

        Args:
            plan: the trials.
            folder: for the results of the trials.
            shown: faults whose metrics are kept batch by batch.
            tell: called with the title of each finished trial.
            run: where the trials run.
        """
        self._end_timed()
        with self.stages.of(Stage.SURVIVAL):
            record = survive(plan, folder, pool.workers(), shown, tell, run)
        for arm in ARMS:
            self._add(arm, survivals=record.survivals[arm])
        self._survival_preset = plan.preset
        return record

    def watch(
        self,
        seconds: float,
        folder: Path,
        tell: Callable[[str], None] = lambda arm: None,
        run: Run = in_processes,
    ) -> dict[str, Telemetry]:
        """Measures the resource usage of fresh loops, each in a process of its own (the telemetry run).

        Args:
            seconds: rough length of the measured training.
            folder: for the results of the processes.
            tell: called with each finished arm.
            run: where the trials run.
        """
        self._end_timed()
        with self.stages.of(Stage.UTILISATION):
            if self._residences:
                results = telemetry.watch_elsewhere(self.settings, seconds, self._residences.another, tell)
            else:
                results = telemetry.watch(self.settings, seconds, folder, tell, run)
        for arm in ARMS:
            starts = (*self._arms[arm].starts, *filter(None, [results[arm].start]))
            self._add(arm, telemetry=results[arm], starts=starts)
        return results

    def _end_timed(self) -> None:
        """Ends the processes of timed loops, to free the resources that they hold."""
        if self._residences and "timed" in self.__dict__:
            self._residences.end()

    def record(self) -> Record:
        """The record of everything that was measured so far."""
        return Record(
            created=datetime.datetime.now(datetime.timezone.utc),
            settings=self.settings,
            environment={**environment.environment(), "state": self._state or environment.state()},
            arms=self._arms,
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
        """The timed loop of a name in TIMED; built on the first call."""
        if name not in self._started:
            self._started[name] = self._start(name)
        return self._started[name]

    def _start(self, name: str) -> _Started:
        """Builds a fresh loop, trains its first batch, and records how long each took."""
        arm = arm_of(name)
        with self.stages.of(Stage.BUILD):
            subject = self._subject(name)
            if self._residences:
                if name not in self._started:
                    subject.warm_up()
            elif not any(record.starts for record in self._arms.values()):
                self._warm_up()
            start = Start(**dict(zip(("build_seconds", "first_batch_seconds"), subject.start(), strict=True)))
        self._add(arm, starts=(*self._arms[arm].starts, start))
        self.pace.first_batch[arm] = start.seconds
        return _Started(subject)

    def _warm_up(self) -> None:
        """Does the one-time work of this process, and of those that follow it, before anything is measured."""
        subjects = [self._subject(arm) for arm in ARMS]
        if self._company is None:
            warm_up(*(subject.build for subject in subjects))
            return
        for subject in subjects:
            subject.warm_up()

    def _subject(self, name: str) -> Subject:
        """The unbuilt loop of a name in TIMED, in the process of its arm."""
        arm, settings = arm_of(name), self.settings
        arguments = self._names[arm], settings.preset, settings.seed, settings.options, arm
        if self._company:
            return cast(Subject, self._company.make(SUBJECT, *arguments))  # a proxy with the same methods
        if self._residences is None:
            return Subject(*arguments)
        return cast(Subject, self._residences.process(name).make(SUBJECT, *arguments))  # a proxy, as above

    def _side(self, arm: str, options: Mapping[str, Any]) -> Side:
        """A fresh loop for the equivalence check, in the process of its arm."""
        arguments = self._names[arm], self.settings.preset, self.settings.seed, options, arm
        if self._company:
            return cast(Side, self._company.make(SIDE, *arguments))
        if self._residences is None:
            return Side.made(*arguments)
        return cast(Side, self._residences.process(arm).make(SIDE, *arguments))

    def _add(self, arm: str, **fields: object) -> None:
        self._arms[arm] = ArmRecord(**{**dict(self._arms[arm]), **fields})
