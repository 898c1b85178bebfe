"""The record of an equivalence check: immutable, validated when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

from pydantic import Field

from loop_bench.document import Count, Document, Frozen
from loop_bench.settings import ARMS, Settings

BATCHES = 60
"""Default batches of the independent runs, and as many from the same state: together more than an epoch of 100."""


class Flip(Frozen):
    """The first token that two loops draw differently."""

    batch: Count
    line: Count
    place: Count  # index in the line
    before: int  # token drawn by the loop before
    after: int  # token drawn by the loop after


class Lockstep(Frozen):
    """Differences of two loops after stretches of batches, each from the same state."""

    metrics: Annotated[tuple[float, ...], Field(min_length=1)]  # by stretch: largest relative difference of a metric
    updates: tuple[float, ...]  # by stretch: largest of a variable, as a share of its update or of its usual one
    other_lines: tuple[Count, ...] | None  # by stretch: lines with a different draw; None: draws were not kept
    lines: Count = 0  # in a batch
    lengths: tuple[Annotated[int, Field(gt=0)], ...] = ()  # batches of each stretch; empty: one in each

    @property
    def batches(self) -> int:
        """The number of batches in all stretches."""
        return sum(self.lengths) or len(self.metrics)

    @property
    def drew_alike(self) -> tuple[bool, ...]:
        """Whether all draws of each stretch are the same; True if draws were not kept."""
        return tuple(not count for count in self.other_lines or (0,) * len(self.metrics))

    @property
    def batches_alike(self) -> int:
        """The number of batches in stretches whose draws are all the same."""
        lengths = self.lengths or (1,) * len(self.metrics)
        return sum(length for length, alike in zip(lengths, self.drew_alike, strict=True) if alike)


class Equivalence(Frozen):
    """Result of an equivalence check of two loops under options that make their algorithms the same."""

    batches: Annotated[int, Field(gt=0)]
    options: dict[str, Any]  # options that both loops were built with
    equal: bool
    reason: str
    bit_for_bit: bool = False
    flip: Flip | None = None  # in the independent runs; None: no draw differed, or draws were not kept
    lockstep: Lockstep | None = None  # None: not needed, or not possible


SCHEMA: Final = 2


class AgreementRecord(Document):
    """The results of equivalence checks of several loops with the loop before."""

    title: ClassVar[str] = "record of equivalence"

    kind: Literal["equivalence"] = "equivalence"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    settings: Settings
    found: dict[str, Equivalence] = Field(min_length=1)  # by the name of the compared loop


class Candidate(NamedTuple):
    """A loop that should compute the same as the loop before."""

    name: str  # in tables
    factory: str  # as module:factory
    options: Mapping[str, Any]
    equivalent: Mapping[str, Any] | None  # options under which both must compute the same; None: not known
    exact: bool = False  # whether it must do so bit for bit on a CPU, because it only moves reads and calls

    def inexact(self, result: Equivalence, environment: Mapping[str, Any]) -> str:
        """Why equality up to rounding does not suffice for this loop, in words; empty: it does."""
        if not self.exact or result.bit_for_bit or environment.get("gpus"):
            return ""
        return f"only moves reads and calls, but is not bit for bit the same: {result.reason}"


def loop_after(settings: Settings, equivalent: Mapping[str, Any] | None) -> Candidate:
    """The loop after of a run, as a candidate.

    Args:
        settings: settings of the run.
        equivalent: options under which both loops of the pair compute the same; None: not known.
    """
    return Candidate(ARMS[1], settings.after, settings.options, equivalent)
