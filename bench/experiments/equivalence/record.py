"""The result of comparing what loops compute: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

from pydantic import Field

from loop_bench.document import Count, Document, Frozen
from loop_bench.settings import ARMS, Settings

BATCHES = 60
"""Of each loop by itself, and as many from the same state: more than an epoch of 100 together."""


class Flip(Frozen):
    """The first draw in which two loops differ."""

    batch: Count
    line: Count
    place: Count  # in the line
    before: int  # the token that each of them drew there
    after: int


class Lockstep(Frozen):
    """How far two loops differ after a stretch of batches from the same state, for several stretches."""

    metrics: Annotated[tuple[float, ...], Field(min_length=1)]  # of each stretch the most of any, by its size
    updates: tuple[float, ...]  # of each stretch the most of any variable, as a share of its update or its usual one
    other_lines: tuple[Count, ...] | None  # of each stretch, those with another draw; None where a loop does not say
    lines: Count = 0  # in a batch
    lengths: tuple[Annotated[int, Field(gt=0)], ...] = ()  # batches of each stretch; empty where each was one

    @property
    def batches(self) -> int:
        """In all stretches."""
        return sum(self.lengths) or len(self.metrics)

    @property
    def drew_alike(self) -> tuple[bool, ...]:
        """Whether all draws of each stretch are the same, as far as is known."""
        return tuple(not count for count in self.other_lines or (0,) * len(self.metrics))

    @property
    def batches_alike(self) -> int:
        """In the stretches in which all draws are the same."""
        lengths = self.lengths or (1,) * len(self.metrics)
        return sum(length for length, alike in zip(lengths, self.drew_alike, strict=True) if alike)


class Equivalence(Frozen):
    """Whether both loops compute the same thing when nothing but how it is carried out is left to differ."""

    batches: Annotated[int, Field(gt=0)]
    options: dict[str, Any]  # that both were built with
    equal: bool
    reason: str
    bit_for_bit: bool = False
    flip: Flip | None = None  # when each went on by itself; None without one, or when draws were not kept
    lockstep: Lockstep | None = None  # None where it was not needed, or not possible


SCHEMA: Final = 2


class AgreementRecord(Document):
    """What was found of each loop."""

    title: ClassVar[str] = "record of equivalence"

    kind: Literal["equivalence"] = "equivalence"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    settings: Settings
    found: dict[str, Equivalence] = Field(min_length=1)  # by what is compared with the loop before


class Candidate(NamedTuple):
    """A loop that should compute what the loop before does."""

    name: str  # as tables have it
    factory: str  # as module:factory
    options: Mapping[str, Any]
    equivalent: Mapping[str, Any] | None  # options of both with which they must; None where none are known
    exact: bool = False  # whether it must be so bit for bit on a CPU, for it only moves reads and calls

    def inexact(self, found: Equivalence, environment: Mapping[str, Any]) -> str:
        """Why it does not do that what was found is the same up to rounding, in words; empty if it does."""
        if not self.exact or found.bit_for_bit or environment.get("gpus"):
            return ""
        return f"only moves reads and calls, and is not bit for bit the same: {found.reason}"


def loop_after(settings: Settings, equivalent: Mapping[str, Any] | None) -> Candidate:
    """The loop after of a run.

    Args:
        settings: of the run.
        equivalent: options with which both loops of its pair compute the same; None where none are known.
    """
    return Candidate(ARMS[1], settings.after, settings.options, equivalent)
