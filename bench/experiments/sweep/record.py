"""The result of a sweep: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar, Final, Literal

from pydantic import model_validator
from typing_extensions import Self

from loop_bench.document import Document
from loop_bench.experiments.sweep.plan import Sweep
from loop_bench.experiments.sweep.trial import Measured, Point
from loop_bench.jobs.machines import RanOn

SCHEMA: Final = 2


class SweepRecord(Document):
    """What a sweep has found, with every raw sample."""

    title: ClassVar[str] = "record of a sweep"

    kind: Literal["sweep"] = "sweep"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    sweep: Sweep
    measured: dict[str, Measured]  # by a name of the point; that of an older record need not be the key of its trial
    ran_on: tuple[RanOn, ...] = ()  # machines, and what ran there; empty: all on the one of the command

    @model_validator(mode="after")
    def _has_every_point(self) -> Self:
        if sorted(each.point.key for each in self.measured.values()) != sorted(self.sweep.distinct()):
            raise ValueError("a sweep's record has what came of each of its points, and of no others")
        return self

    def at(self, point: Point) -> Measured:
        """The result of a point."""
        return next(each for each in self.measured.values() if each.point.key == point.key)
