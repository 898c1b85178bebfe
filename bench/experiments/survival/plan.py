"""Which loops are put through which faults, from which seeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import Field

from bench.document import Count, Frozen
from bench.experiments.survival.fault import Fault
from bench.experiments.survival.trial import PATIENCE, SurvivalTrial, horizon
from bench.settings import ARMS


class AttackedLoop(Frozen):
    """One of those that are compared."""

    factory: str
    options: dict[str, Any] = Field(default_factory=dict)
    faults: tuple[str, ...]  # that it is put through
    most_seeds: Count | None = None  # from the first so many only


class SurvivalPlan(Frozen):
    """What is to be tried.

    Every loop runs with each of its faults, and once without, from every seed.
    """

    loops: dict[str, AttackedLoop]  # those of ARMS, and what is between them
    preset: str
    seeds: tuple[Count, ...]
    epochs: Count = 0  # that each arm is to train without a fault besides; 0: none
    time_limit: Annotated[float, Field(gt=0)] = 300.0  # seconds for a run; for a long one without a fault, an epoch

    def clean(self, loop: str, seed: int) -> SurvivalTrial:
        """The run that those of a loop from a seed are compared with: as long as the longest of them can be."""
        faults = [Fault.parse(text) for text in self.loops[loop].faults]
        return self._trial(loop, seed, batches=PATIENCE + max(map(horizon, faults), default=1))

    def faulty(self, loop: str, seed: int, fault: str) -> SurvivalTrial:
        """A run with a fault."""
        return self._trial(loop, seed, fault=fault, batches=horizon(Fault.parse(fault)))

    def undisturbed(self, loop: str, seed: int) -> SurvivalTrial:
        """A long run without one."""
        return self._trial(loop, seed, epochs=self.epochs, time_limit=self.time_limit * max(1, self.epochs))

    def only(self, faults: tuple[str, ...], loops: Iterable[str]) -> Self:
        """The same with these faults of these loops, and no others."""
        chosen = {name: self.loops[name].model_copy(update={"faults": faults}) for name in loops}
        return self.model_copy(update={"loops": chosen})

    def seeds_of(self, loop: str) -> tuple[int, ...]:
        """From which one of the loops starts."""
        return self.seeds[: self.loops[loop].most_seeds]

    def trials(self) -> list[SurvivalTrial]:
        """All of them, so ordered that each seed is complete before the next one."""
        found = []
        for seed in self.seeds:
            for name, loop in self.loops.items():
                if seed not in self.seeds_of(name):
                    continue
                found += [self.clean(name, seed), *(self.faulty(name, seed, fault) for fault in loop.faults)]
                found += [self.undisturbed(name, seed)] if self.epochs and name in ARMS else []
        return found

    def _trial(self, loop: str, seed: int, **what: Any) -> SurvivalTrial:
        of = self.loops[loop]
        shared = {"preset": self.preset, "seed": seed, "options": of.options, "time_limit": self.time_limit}
        return SurvivalTrial(loop=loop, factory=of.factory, **{**shared, **what})


def canonical(faults: Iterable[str]) -> tuple[str, ...]:
    """The texts of faults as faults write them themselves, each once.

    Raises:
        UsageError: one is no fault.
    """
    return tuple(dict.fromkeys(str(Fault.parse(text)) for text in faults))
