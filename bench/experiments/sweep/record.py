"""The record of a sweep: immutable, validated when it is made, JSON on disk."""

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
    """The results of all points of a sweep, with every raw sample."""

    title: ClassVar[str] = "record of a sweep"

    kind: Literal["sweep"] = "sweep"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    sweep: Sweep
    measured: dict[str, Measured]  # by the key of the point's trial; in older records perhaps by another name
    ran_on: tuple[RanOn, ...] = ()  # machines, and the trials that ran there; empty: all on the command's machine

    @model_validator(mode="after")
    def _has_every_point(self) -> Self:
        if sorted(result.point.key for result in self.measured.values()) != sorted(self.sweep.distinct()):
            raise ValueError("a sweep's record has one result for each of its points, and no others")
        return self

    def at(self, point: Point) -> Measured:
        """The result of a point."""
        return next(result for result in self.measured.values() if result.point.key == point.key)
