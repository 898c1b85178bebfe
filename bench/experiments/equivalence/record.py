"""The result of comparing what loops compute: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from bench.document import Count, Document, Frozen
from bench.settings import Settings


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
    updates: tuple[float, ...]  # of each stretch the most of any variable, as a share of the update
    other_lines: tuple[Count, ...] | None  # of each stretch, those with another draw; None where a loop does not say
    lines: Count = 0  # in a batch
    lengths: tuple[Annotated[int, Field(gt=0)], ...] = ()  # batches of each stretch; empty where each was one

    @property
    def batches(self) -> int:
        """In all stretches."""
        return sum(self.lengths) or len(self.metrics)

    @property
    def drew_alike(self) -> tuple[bool, ...]:
        """Of each stretch, whether all draws are the same, as far as is known."""
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
