"""Everything that is measured in one run; pytest and commands drive it alike."""

from __future__ import annotations

import datetime
import functools

from bench import counting, environment, work
from bench.faults import Fault
from bench.faults.survival import CleanRun, survive
from bench.loop import LoopSpec, TrainingLoop, build, describe, history, load
from bench.record import ARMS, Arm, HostSyncs, Record, Settings, Survival
from bench.schedule import InterleavedRounds
from bench.start import start, warm_up_tensorflow


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
        self._found = {arm: Arm(factory=name) for arm, name in self._names.items()}
        self._initial: dict[str, work.Snapshot] = {}

    @functools.cached_property
    def timed(self) -> InterleavedRounds:
        """Both loops, built, warm and ready to be timed in turns."""
        loops = {arm: self._start(arm) for arm in ARMS}
        for arm, loop in loops.items():
            self._add(arm, described_first=describe(loop))
            self._initial[arm] = work.weights(loop)
        return InterleavedRounds(loops, self.settings.batches)

    def problems(self) -> list[str]:
        """What speaks against the timed loops having done their work so far; keeps their histories."""
        found = []
        for arm, loop in self.timed.loops.items():
            metrics = {name: tuple(values.tolist()) for name, values in history(loop).items()}
            self._add(arm, history=metrics, described_last=describe(loop))
            trained = self.timed.trained[arm] + 1  # the first batch came before
            found += [f"{arm}: {problem}" for problem in work.problems(loop, trained, self._initial[arm])]
        return found

    def count_host_syncs(self, arm: str, batches: int) -> HostSyncs:
        """Counts the host's reads of the device in a fresh loop."""
        loop = self._start(arm)
        found = counting.count_host_syncs(loop, batches)
        self._add(arm, host_syncs=found)
        return found

    def survive(self, arm: str, fault: Fault) -> Survival:
        """Puts a fresh loop through a fault."""
        found = survive(self._names[arm], self._factories[arm], self._spec, fault, self.clean_run(arm))
        self._add(arm, survivals=(*self._found[arm].survivals, found))
        return found

    @functools.cache  # noqa: B019  (one measurement lives as long as the process)
    def clean_run(self, arm: str) -> CleanRun:
        """How the loop of `arm` trains without a fault."""
        return CleanRun.of(self._start(arm), trained=1)

    def record(self) -> Record:
        """What was found."""
        timed = self.__dict__.get("timed")  # asking for it would build the loops
        return Record(
            created=datetime.datetime.now(datetime.UTC),
            settings=self.settings,
            environment=environment.environment(),
            arms=self._found,
            rounds=tuple(timed.rounds) if timed else (),
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
        self._found[arm] = Arm(**{**dict(self._found[arm]), **found})
