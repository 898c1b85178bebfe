"""The plan of a survival experiment: which loops get which faults, from which seeds."""

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
"""Faults of every run: NaN, infinity, and a spike that leaves every number finite."""

MAGNITUDES = ("scale=10", "scale=100", "scale=1e4", "scale=1e18", "scale=1e38", "inf", "nan")
"""Faults in the gradients of one batch, by magnitude, in the order of the table."""

SHAPES = (
    "nan,extent=element",
    "nan,batches=40,probability=0.1",
    "nan,batches=40",
    "scale=1000,batches=15,growth=1000",
)
"""Faults in the gradients with other shapes: one element, several batches, at random, growing."""

ELSEWHERE = ("nan,in=weights,extent=element", "scale=1000,in=learning_rate")
"""Faults outside of the gradients, for any loop."""

ONE_REPLICA = ("nan,replica=0",)
"""Additional faults of loops with several replicas: what a single faulty replica does to all of them."""

NOWHERE_ELSE: Mapping[str, str] = types.MappingProxyType({})
"""No homes: both arms run in the environment of the run."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A loop between the arms, such as one with less protection."""

    factory: str  # as module:factory
    options: Mapping[str, Any]  # in addition to those of the run


@dataclasses.dataclass(frozen=True)
class Faults:
    """Faults for a pair of loops, as texts; the defaults suit any loop with a gradient tape."""

    short: tuple[str, ...] = SHORT  # of every run
    matrix: tuple[str, ...] = (*MAGNITUDES, *SHAPES, *ELSEWHERE)  # of the full experiment
    must_happen: bool = False  # whether it is an error if a fault in `short` cannot be made to happen
    short_preset: str | None = None  # preset for the faults in `short`; None: that of the run
    variants: Mapping[str, Variant] = dataclasses.field(default_factory=dict)  # by name, in the full experiment
    variant_faults: tuple[str, ...] = ()  # of the variants
    variant_seeds: int | None = None  # number of seeds, the first of the plan; None: all


class AttackedLoop(Frozen):
    """A loop of a survival plan, with its faults."""

    factory: str
    options: dict[str, Any] = Field(default_factory=dict)
    faults: tuple[str, ...]
    most_seeds: Count | None = None  # number of seeds, the first of the plan; None: all
    arm: str = ""  # the arm in whose environment it runs; empty: the environment of the run
    home: str = ""  # that environment, with its commit


class SurvivalPlan(Frozen):
    """Loops, faults and seeds of a survival experiment.

    Every loop runs with each of its faults, and once without a fault, from every seed.
    """

    loops: dict[str, AttackedLoop]  # both ARMS, and variants between them
    preset: str
    seeds: tuple[Count, ...]
    epochs: Count = 0  # additional training of each arm without a fault; 0: none
    time_limit: Annotated[float, Field(gt=0)] = 300.0  # seconds for a run; in long runs without a fault, for an epoch

    def clean(self, loop: str, seed: int) -> SurvivalTrial:
        """The clean run that a loop's runs with faults are compared with; as long as the longest of them can be."""
        return self._trial(loop, seed, ready=_ready(self.loops[loop].faults), batches=_longest(self.loops[loop].faults))

    def faulty(self, loop: str, seed: int, fault: str) -> SurvivalTrial:
        """A run with a fault."""
        return self._trial(loop, seed, fault=fault, ready=_ready(self.loops[loop].faults), batches=_batches(fault))

    def undisturbed(self, loop: str, seed: int) -> SurvivalTrial:
        """A long run without a fault."""
        return self._trial(loop, seed, epochs=self.epochs, time_limit=self.time_limit * max(1, self.epochs))

    def only(self, faults: tuple[str, ...], loops: Iterable[str]) -> Self:
        """A copy of the plan with only these faults and loops."""
        chosen = {name: self.loops[name].model_copy(update={"faults": faults}) for name in loops}
        return self.model_copy(update={"loops": chosen})

    def seeds_of(self, loop: str) -> tuple[int, ...]:
        """The seeds of a loop."""
        return self.seeds[: self.loops[loop].most_seeds]

    def trials(self) -> list[SurvivalTrial]:
        """All trials, ordered so that each seed is complete before the next one.

        The runs without a fault come first, so that the programs that all runs share are in the cache afterwards.
        """
        trials = []
        for seed in self.seeds:
            loops = {name: loop for name, loop in self.loops.items() if seed in self.seeds_of(name)}
            trials += [self.clean(name, seed) for name in loops]
            for name, loop in loops.items():
                trials += [self.faulty(name, seed, fault) for fault in loop.faults]
                trials += [self.undisturbed(name, seed)] if self.epochs and name in ARMS else []
        return trials

    def _trial(self, loop: str, seed: int, **fields: Any) -> SurvivalTrial:
        attacked = self.loops[loop]
        shared = {"preset": self.preset, "seed": seed, "options": attacked.options, "time_limit": self.time_limit}
        return SurvivalTrial(
            loop=loop, factory=attacked.factory, arm=attacked.arm, home=attacked.home, **{**shared, **fields}
        )


@functools.cache
def _ready(faults: tuple[str, ...]) -> tuple[str, ...]:
    """One fault for each way (place, target, extent, replica) into gradients, with which the graphs must be traced."""
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
    """The length of the clean run, in batches."""
    return PATIENCE + max(map(_batches, faults), default=1)


def canonical(faults: Iterable[str]) -> tuple[str, ...]:
    """The texts of faults in their canonical form, without duplicates.

    Raises:
        UsageError: a text is not a fault.
    """
    return tuple(dict.fromkeys(str(Fault.parse(text)) for text in faults))


def survival_plan(
    settings: Settings,
    faults: Faults,
    seeds: int | None = None,
    epochs: int = 0,
    homes: Mapping[str, str] = NOWHERE_ELSE,
) -> SurvivalPlan:
    """Plans the survival trials of a run or of the experiment's command.

    Args:
        settings: settings of the run.
        faults: faults of the pair.
        seeds: number of seeds for the whole matrix, with variants; None: the short list, from the seed of the settings,
            at the preset that `faults` names.
        epochs: additional epochs of each arm without a fault.
        homes: the environment of each arm, as text with its commit; variants run in that of `after`. Empty: all run in
            the environment of the run.
    """
    of_replicas = ONE_REPLICA if settings.replicas > 1 else ()
    chosen = canonical((*(faults.short if seeds is None else faults.matrix), *of_replicas))
    loops = {
        arm: AttackedLoop(factory=factory, options=dict(settings.options), faults=chosen, **_home(homes, arm))
        for arm, factory in zip(ARMS, (settings.before, settings.after), strict=True)
    }
    if seeds is not None:
        loops |= {
            name: AttackedLoop(
                factory=variant.factory,
                options={**settings.options, **variant.options},
                faults=canonical(faults.variant_faults),
                most_seeds=faults.variant_seeds,
                **_home(homes, ARMS[1]),
            )
            for name, variant in faults.variants.items()
        }
    all_seeds = (settings.seed,) if seeds is None else tuple(range(settings.seed, settings.seed + seeds))
    preset = (faults.short_preset if seeds is None else None) or settings.preset
    return SurvivalPlan(loops=loops, preset=preset, seeds=all_seeds, epochs=epochs)


def _home(homes: Mapping[str, str], arm: str) -> dict[str, Any]:
    return {"arm": arm, "home": homes[arm]} if arm in homes else {}


def shown(plan: SurvivalPlan, faults: Faults) -> tuple[str, ...]:
    """The faults of a plan whose metrics are plotted: those of every run, or otherwise the plan's first three."""
    planned = plan.loops[ARMS[0]].faults
    usual = canonical((*faults.short, *SHORT))
    return tuple(fault for fault in planned if fault in usual)[:3] or planned[:3]
