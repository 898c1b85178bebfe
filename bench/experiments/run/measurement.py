"""Everything that is measured in one run; pytest and commands drive it alike."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import hostsync
from bench.experiments.equivalence import check
from bench.experiments.equivalence.record import Equivalence
from bench.experiments.run.record import ArmRecord, Record
from bench.experiments.survival.experiment import survive
from bench.experiments.survival.plan import SurvivalPlan
from bench.experiments.survival.record import SurvivalRecord
from bench.experiments.syncs import counting
from bench.experiments.syncs.record import HostSyncs
from bench.experiments.telemetry import trial as telemetry
from bench.experiments.telemetry.record import Telemetry
from bench.jobs import pool
from bench.loop import LoopSpec, TrainingLoop, build, load
from bench.machine import environment, gpu
from bench.settings import ARMS, NULL, TIMED, Settings
from bench.timing import stopping, work
from bench.timing.clock import start, warm_up_tensorflow
from bench.timing.rounds import Interleaver
from bench.timing.samples import Ended
from bench.timing.stopping import StoppingRule


class Measurement:
    """Measures what it is asked for, and gathers it for the record.

    Args:
        settings: which loops, how much work.

    Raises:
        UsageError: a factory that cannot be loaded.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._names = {"before": settings.before, "after": settings.after}
        self._factories = {arm: load(name) for arm, name in self._names.items()}
        self._spec = LoopSpec(settings.preset, settings.seed, settings.options)
        self._found = {arm: ArmRecord(factory=name) for arm, name in self._names.items()}
        self._witnesses: dict[str, work.Witness] = {}  # of the timed loops after their first batch
        self._ended: Ended | None = None
        self._rounds_seconds = 0.0
        self._problems: tuple[str, ...] | None = None  # of the timed loops; None until it is looked at
        self._equivalence: Equivalence | None = None
        self._state: dict[str, Any] | None = None  # of the machine, after the last round
        self.samples_per_batch: dict[str, float] = {}  # by arm, of loops that say so; `check_work` finds it

    @functools.cached_property
    def timed(self) -> Interleaver:
        """Both loops and the null arm, built, warm and ready to be timed in turns."""
        loops = {name: self._start(_arm(name)) for name in TIMED}
        self._witnesses = {name: work.Witness(loop) for name, loop in loops.items()}
        timed = Interleaver(loops, self.settings.batches)  # warms them up
        for arm in ARMS:
            witness = self._witnesses[arm]
            least = work.touch_seconds(loops[arm], witness.weights)
            self._add(arm, described_first=witness.described, touch_seconds=least)
        return timed

    def time_rounds(
        self, tell: Callable[[int, float], None] = lambda rounds, share: None, rule: StoppingRule | None = None
    ) -> None:
        """Times rounds until a stopping rule says that there are enough.

        Args:
            tell: is given the number of rounds and the share of the work that is done, before each.
            rule: in place of the settings'.
        """
        self._ended, self._rounds_seconds = self.timed.run(rule or self.rule(), tell)
        self._state = environment.state()  # while the device is still as warm as it was

    def rule(self) -> StoppingRule:
        """The stopping rule of the settings."""
        return stopping.rule(self.settings.rounds, self.settings.max_time, self.settings.precision)

    def check_work(self) -> None:
        """Keeps the timed loops' histories, and what speaks against their having done their work."""
        done = {name: witness.work(self.timed.trained[name]) for name, witness in self._witnesses.items()}
        for arm in ARMS:
            metrics = {metric: tuple(values.tolist()) for metric, values in done[arm].metrics.items()}
            self._add(arm, history=metrics, described_last=done[arm].described)
        found = [f"{name}: {problem}" for name in TIMED for problem in done[name].problems()]
        self._problems = (*found, *work.unequal(done["before"], done["after"], ARMS))
        said = {arm: done[arm].samples_per_batch for arm in ARMS}
        self.samples_per_batch = {arm: samples for arm, samples in said.items() if samples is not None}

    def check_equivalence(self, options: Mapping[str, Any]) -> Equivalence:
        """Whether both loops compute the same thing.

        Args:
            options: with which they should.
        """
        spec = dataclasses.replace(self._spec, options={**self._spec.options, **options})
        before, after = (build(name, self._factories[arm], spec) for arm, name in self._names.items())
        self._equivalence = check.equivalence(before, after, dict(options))
        return self._equivalence

    def count_host_syncs(self, arm: str, batches: int) -> HostSyncs:
        """Counts the host's reads of the device in a fresh loop."""
        with hostsync.record() as log:  # for what it traces; reads while it is built are not of its batches
            loop = self._start(arm)
        found = counting.count_host_syncs(loop, batches, log.host_ops, trace=bool(gpu.states()))
        self._add(arm, host_syncs=found)
        return found

    def survive(
        self,
        plan: SurvivalPlan,
        folder: Path,
        shown: tuple[str, ...] = (),
        tell: Callable[[str], None] = lambda title: None,
    ) -> SurvivalRecord:
        """Puts fresh loops through faults, each in a process of its own.

        Args:
            plan: what to try.
            folder: for the trials.
            shown: faults whose metrics are kept batch by batch.
            tell: is told the title of each that is done.
        """
        found = survive(plan, folder, pool.workers(), shown, tell)
        for arm in ARMS:
            self._add(arm, survivals=found.survivals[arm])
        return found

    def watch(
        self, seconds: float, folder: Path, tell: Callable[[str], None] = lambda arm: None
    ) -> dict[str, Telemetry]:
        """What fresh loops make of the machine, each in a process of its own.

        Args:
            seconds: of uninterrupted training, roughly.
            folder: for what the processes leave.
            tell: is told of each arm that is done.
        """
        found = telemetry.watch(self.settings, seconds, folder, tell)
        for arm in ARMS:
            self._add(arm, telemetry=found[arm])
        return found

    def record(self) -> Record:
        """What was found."""
        timed = self.__dict__.get("timed")  # asking for it would build the loops
        return Record(
            created=datetime.datetime.now(datetime.UTC),
            settings=self.settings,
            environment={**environment.environment(), "state": self._state or environment.state()},
            arms=self._found,
            rounds=tuple(timed.rounds) if timed else (),
            rounds_ended=self._ended,
            rounds_seconds=self._rounds_seconds,
            equivalence=self._equivalence,
            problems=self._problems,
        )

    def _start(self, arm: str) -> TrainingLoop:
        if not any(found.starts for found in self._found.values()):
            # What a process does only once (TensorFlow's own start, drawing the lines) should not count for either.
            warm_up_tensorflow()
            for name, factory in zip(self._names.values(), self._factories.values(), strict=True):
                build(name, factory, self._spec)
        loop, took = start(self._names[arm], self._factories[arm], self._spec)
        self._add(arm, starts=(*self._found[arm].starts, took))
        return loop

    def _add(self, arm: str, **found: object) -> None:
        self._found[arm] = ArmRecord(**{**dict(self._found[arm]), **found})


def _arm(name: str) -> str:
    """Whose factory a timed loop comes from."""
    return ARMS[0] if name == NULL else name
