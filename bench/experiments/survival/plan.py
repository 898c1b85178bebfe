"""Which loops are put through which faults, from which seeds."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import Self

from loop_bench.document import Count, Frozen
from loop_bench.experiments.survival.fault import GRADIENTS, Fault
from loop_bench.experiments.survival.observation import PATIENCE, horizon
from loop_bench.experiments.survival.trial import SurvivalTrial
from loop_bench.settings import ARMS, Settings

SHORT = ("nan", "inf", "scale=1e4")
"""Faults of every run: not a number, infinity, and a spike that leaves every number finite."""

MAGNITUDES = ("scale=10", "scale=100", "scale=1e4", "scale=1e18", "scale=1e38", "inf", "nan")
"""Of a gradient that goes wrong in one batch, in the order of a table."""

SHAPES = (
    "nan,extent=element",
    "nan,batches=40,probability=0.1",
    "nan,batches=40",
    "scale=1000,batches=15,growth=1000",
)
"""Faults that are in the gradients too, and come otherwise."""

ELSEWHERE = ("nan,in=weights,extent=element", "scale=1000,in=learning_rate")
"""Faults outside of the gradients, in any loop."""

ONE_REPLICA = ("nan,replica=0",)
"""Faults of loops that are asked for several replicas besides: what one that goes wrong does to all."""

NOWHERE_ELSE: Mapping[str, str] = types.MappingProxyType({})
"""By arm, where it lives, of arms that live where the run does."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A loop between the arms, such as one with less protection."""

    factory: str  # as module:factory
    options: Mapping[str, Any]  # besides those of the run


@dataclasses.dataclass(frozen=True)
class Faults:
    """Faults that a pair of loops can be put through, as texts; the defaults suit any loop with a gradient tape."""

    short: tuple[str, ...] = SHORT  # of every run
    matrix: tuple[str, ...] = (*MAGNITUDES, *SHAPES, *ELSEWHERE)  # of a whole experiment
    must_happen: bool = False  # whether it is an error when one of the short ones cannot be made to happen
    short_preset: str | None = None  # of the loops that the short ones are tried on; None: that of the run
    variants: Mapping[str, Variant] = dataclasses.field(default_factory=dict)  # by name, in a whole experiment
    variant_faults: tuple[str, ...] = ()  # that these are put through
    variant_seeds: int | None = None  # from the first so many only; None: from all


class AttackedLoop(Frozen):
    """One of those that are compared."""

    factory: str
    options: dict[str, Any] = Field(default_factory=dict)
    faults: tuple[str, ...]  # that it is put through
    most_seeds: Count | None = None  # from the first so many only
    arm: str = ""  # whose home it lives in; empty where loops live in the run's own environment
    home: str = ""  # that home, with its commit


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
        return self._trial(loop, seed, ready=_ready(self.loops[loop].faults), batches=_longest(self.loops[loop].faults))

    def faulty(self, loop: str, seed: int, fault: str) -> SurvivalTrial:
        """A run with a fault."""
        return self._trial(loop, seed, fault=fault, ready=_ready(self.loops[loop].faults), batches=_batches(fault))

    def undisturbed(self, loop: str, seed: int) -> SurvivalTrial:
        """A long run without one."""
        return self._trial(loop, seed, epochs=self.epochs, time_limit=self.time_limit * max(1, self.epochs))

    def only(self, faults: tuple[str, ...], loops: Iterable[str]) -> Self:
        """A plan with these faults of these loops, and no others."""
        chosen = {name: self.loops[name].model_copy(update={"faults": faults}) for name in loops}
        return self.model_copy(update={"loops": chosen})

    def seeds_of(self, loop: str) -> tuple[int, ...]:
        """From which one of the loops starts."""
        return self.seeds[: self.loops[loop].most_seeds]

    def trials(self) -> list[SurvivalTrial]:
        """All of them, so ordered that each seed is complete before the next one.

        The runs without a fault come first: when those with one begin, the programs that all have are in the cache.
        """
        found = []
        for seed in self.seeds:
            loops = {name: loop for name, loop in self.loops.items() if seed in self.seeds_of(name)}
            found += [self.clean(name, seed) for name in loops]
            for name, loop in loops.items():
                found += [self.faulty(name, seed, fault) for fault in loop.faults]
                found += [self.undisturbed(name, seed)] if self.epochs and name in ARMS else []
        return found

    def _trial(self, loop: str, seed: int, **what: Any) -> SurvivalTrial:
        of = self.loops[loop]
        shared = {"preset": self.preset, "seed": seed, "options": of.options, "time_limit": self.time_limit}
        return SurvivalTrial(loop=loop, factory=of.factory, arm=of.arm, home=of.home, **{**shared, **what})


@functools.cache
def _ready(faults: tuple[str, ...]) -> tuple[str, ...]:
    """A fault for each way in which those of a loop get into gradients: what a graph must be traced with."""
    ways = dict.fromkeys(fault.way for fault in map(Fault.parse, faults) if fault.place == GRADIENTS)
    return tuple(
        str(Fault("nan", place=place, target=target, extent=extent, replica=replica))
        for place, target, extent, replica in ways
    )


@functools.cache
def _batches(fault: str) -> int:
    return horizon(Fault.parse(fault))


@functools.cache
def _longest(faults: tuple[str, ...]) -> int:
    """Batches of the run that those with faults are compared with."""
    return PATIENCE + max(map(_batches, faults), default=1)


def canonical(faults: Iterable[str]) -> tuple[str, ...]:
    """The texts of faults as faults write them themselves, each once.

    Raises:
        UsageError: one is no fault.
    """
    return tuple(dict.fromkeys(str(Fault.parse(text)) for text in faults))


def survival_plan(
    settings: Settings,
    faults: Faults,
    seeds: int | None = None,
    epochs: int = 0,
    homes: Mapping[str, str] = NOWHERE_ELSE,
) -> SurvivalPlan:
    """Which loops are put through which faults.

    Args:
        settings: of the run.
        faults: of its pair.
        seeds: the whole matrix, from so many seeds, with the loops between; None: the short list, from the one seed of
            the settings, at the preset that the faults name.
        epochs: that each loop is to train without a fault besides.
        homes: where each arm lives, as text with its commit; loops between the arms live where `after` does. Empty: all
            live in the run's own environment.
    """
    several = ONE_REPLICA if settings.replicas > 1 else ()
    chosen = canonical((*(faults.short if seeds is None else faults.matrix), *several))
    loops = {
        arm: AttackedLoop(factory=factory, options=dict(settings.options), faults=chosen, **_lives(homes, arm))
        for arm, factory in zip(ARMS, (settings.before, settings.after), strict=True)
    }
    if seeds is not None:
        loops |= {
            name: AttackedLoop(
                factory=variant.factory,
                options={**settings.options, **variant.options},
                faults=canonical(faults.variant_faults),
                most_seeds=faults.variant_seeds,
                **_lives(homes, ARMS[1]),
            )
            for name, variant in faults.variants.items()
        }
    started_from = (settings.seed,) if seeds is None else tuple(range(settings.seed, settings.seed + seeds))
    preset = (faults.short_preset if seeds is None else None) or settings.preset
    return SurvivalPlan(loops=loops, preset=preset, seeds=started_from, epochs=epochs)


def _lives(homes: Mapping[str, str], arm: str) -> dict[str, Any]:
    return {"arm": arm, "home": homes[arm]} if arm in homes else {}


def shown(plan: SurvivalPlan, faults: Faults) -> tuple[str, ...]:
    """The faults of a plan around which the metrics are drawn: those of every run, or else its first ones."""
    planned = plan.loops[ARMS[0]].faults
    usual = canonical((*faults.short, *SHORT))
    return tuple(fault for fault in planned if fault in usual)[:3] or planned[:3]
