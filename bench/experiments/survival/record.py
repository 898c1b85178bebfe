"""How loops came through faults: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar, Final, Literal

from pydantic import Field
from typing_extensions import Self

from loop_bench.document import Count, Document, Frozen
from loop_bench.experiments.survival.kinds import Kind
from loop_bench.experiments.survival.observation import Ended, Observation
from loop_bench.experiments.survival.plan import SurvivalPlan
from loop_bench.jobs.machines import RanOn

Outcome = Literal[
    "skipped",
    "survived",
    "frozen",
    "diverged",
    "replicas differ",
    "poisoned state",
    "poisoned weights",
    "crashed",
    "timed out",
    "not tested",
]
"""Of a loop after a fault, from best to worst; the last when the fault could not be made to happen."""

ALIVE: tuple[Outcome, ...] = ("skipped", "survived")
"""Those after which a loop has finite numbers and goes on learning."""

_UNTESTED = ("not tested", "timed out")
"""Those that tell nothing of a loop when all its runs end so; with more time, what timed out may be anything."""


class Survival(Frozen):
    """How a loop came through one fault."""

    fault: str  # as loop_bench.experiments.survival.Fault.parse takes it
    seed: int
    outcome: Outcome
    reason: str  # in words
    weights_finite: bool | None  # at the end; None when it was not seen
    state_finite: bool | None  # the same of optimizer state, and what else is not trained
    struck: Count  # batches in which the fault happened
    updates: Count | None = None  # that should have applied it: see `updates.StruckUpdates`; None: an older record
    skipped: Count  # of them, those that left each weight that should be hit as it was, bit for bit
    moved_in_skips: tuple[str, ...]  # state that such an update changed nevertheless
    first_bad: int | None  # the first batch (from 0) after which a number was not finite
    first_bad_of: dict[Kind, Count] = Field(default_factory=dict)  # the same of each kind; empty in older records
    worst: float  # the largest magnitude of a weight after any batch from the fault on
    recovery: Count | None  # batches after the last of the updates until all was back where it is without the fault
    movement: float  # of the attacked weights (median) afterwards, as a share of that without the fault
    batches: Count  # that were trained

    @property
    def tested(self) -> bool:
        """Whether it tells something of the loop."""
        return self.outcome not in _UNTESTED


SCHEMA: Final = 2


class Undisturbed(Frozen):
    """A long run without a fault."""

    seed: int
    ended: Ended
    why: str
    batches: Count  # that it came to
    first_bad: int | None  # the first batch after which a number was not finite

    @classmethod
    def of(cls, seed: int, seen: Observation) -> Self:
        """What is kept of what was seen."""
        return cls(seed=seed, ended=seen.ended, why=seen.why, batches=seen.batches, first_bad=seen.first_bad)

    @property
    def tested(self) -> bool:
        """Whether it tells something of the loop."""
        return self.ended not in _UNTESTED

    @property
    def died(self) -> bool:
        """Whether it crashed or went on with numbers that are not finite."""
        return self.ended == "crashed" or self.first_bad is not None


Curves = dict[str, dict[str, tuple[tuple[float, ...], ...]]]
"""By fault (empty: without one) and metric: [seeds][batches], a series as long as its run.

Of the first seeds alone, see `outcome.CURVED`.
"""

PACE = "step of the weights hit / usual step"
"""Beside the metrics: see `outcome.pace`. A loop that is frozen shows it here, and often nowhere else."""


class SurvivalRecord(Document):
    """What an experiment has found."""

    title: ClassVar[str] = "survival record"

    kind: Literal["survival"] = "survival"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    plan: SurvivalPlan
    seconds: float  # of all processes together
    survivals: dict[str, tuple[Survival, ...]]  # by loop
    undisturbed: dict[str, tuple[Undisturbed, ...]]  # by loop
    curves: dict[str, Curves]  # by loop, for some faults
    ran_on: tuple[RanOn, ...] = ()  # machines, and what ran there; empty: all on the one of the command
