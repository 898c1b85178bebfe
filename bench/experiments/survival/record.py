"""The record of a survival experiment: immutable, validated when it is made, JSON on disk."""

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
"""Outcome of a loop after a fault, from best to worst; the last: the fault could not be made to happen."""

ALIVE: tuple[Outcome, ...] = ("skipped", "survived")
"""Outcomes in which the loop has finite numbers and continues to learn."""

_UNTESTED = ("not tested", "timed out")
"""Outcomes that say nothing about a loop: with more time, a run that timed out could have ended in any way."""


class Survival(Frozen):
    """The outcome of one loop, from one seed, after one fault."""

    fault: str  # as loop_bench.experiments.survival.Fault.parse takes it
    seed: int
    outcome: Outcome
    reason: str  # in words
    weights_finite: bool | None  # at the end; None: not observed
    state_finite: bool | None  # optimizer state and other untrained variables, at the end; None: not observed
    struck: Count  # batches in which the fault happened
    updates: Count | None = None  # updates that should apply it, see `updates.StruckUpdates`; None: an older record
    skipped: Count  # updates of these that left every weight that should be hit unchanged, bit for bit
    moved_in_skips: tuple[str, ...]  # state that a skipped update changed nevertheless
    first_bad: int | None  # the first batch (from 0) after which a number was not finite
    first_bad_of: dict[Kind, Count] = Field(default_factory=dict)  # `first_bad` by kind; empty in older records
    worst: float  # the largest magnitude of a weight after any batch from the fault on
    recovery: Count | None  # batches from the last of the updates until recovery; None: not recovered
    movement: float  # median movement of the attacked weights afterwards, as a share of that without the fault
    batches: Count  # trained batches

    @property
    def tested(self) -> bool:
        """Whether the run says anything about the loop."""
        return self.outcome not in _UNTESTED


SCHEMA: Final = 2


class Undisturbed(Frozen):
    """A long run without a fault."""

    seed: int
    ended: Ended
    why: str
    batches: Count  # trained batches
    first_bad: int | None  # the first batch after which a number was not finite

    @classmethod
    def of(cls, seed: int, seen: Observation) -> Self:
        """Summarises the observations of a run."""
        return cls(seed=seed, ended=seen.ended, why=seen.why, batches=seen.batches, first_bad=seen.first_bad)

    @property
    def tested(self) -> bool:
        """Whether the run says anything about the loop."""
        return self.ended not in _UNTESTED

    @property
    def died(self) -> bool:
        """Whether the loop crashed, or continued with numbers that are not finite."""
        return self.ended == "crashed" or self.first_bad is not None


Curves = dict[str, dict[str, tuple[tuple[float, ...], ...]]]
"""Series by fault (empty: none) and metric: [seeds][batches], each as long as its run.

Only the first `outcome.CURVED` seeds are kept.
"""

PACE = "step of the weights hit / usual step"
"""Name of the series of `outcome.pace` among the metrics; often the only one in which a frozen loop shows."""


class SurvivalRecord(Document):
    """The outcomes of all loops, faults and seeds of a plan."""

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
    ran_on: tuple[RanOn, ...] = ()  # machines, and the trials that ran there; empty: all on the command's machine
