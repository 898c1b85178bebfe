"""The result of a sweep: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import model_validator

from bench.document import Document
from bench.experiments.sweep.plan import Sweep
from bench.experiments.sweep.trial import Measured

SCHEMA: Final = 2


class SweepRecord(Document):
    """What a sweep has found, with every raw sample."""

    title: ClassVar[str] = "record of a sweep"

    kind: Literal["sweep"] = "sweep"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    sweep: Sweep
    measured: dict[str, Measured]  # by the name of a point

    @model_validator(mode="after")
    def _has_every_point(self) -> Self:
        if sorted(self.measured) != sorted(self.sweep.distinct()):
            raise ValueError("a sweep's record has what came of each of its points, and of no others")
        return self
