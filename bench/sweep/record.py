"""The result of a sweep: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import ValidationError, model_validator

from bench.errors import InvalidRecordError, UsageError
from bench.record import Frozen, write_whole
from bench.sweep.plan import Sweep
from bench.sweep.point import Measured

SCHEMA: Final = 1


class SweepRecord(Frozen):
    """What a sweep has found, with every raw sample."""

    schema_version: Literal[1] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    sweep: Sweep
    measured: dict[str, Measured]  # by the name of a point

    @model_validator(mode="after")
    def _has_every_point(self) -> Self:
        if sorted(self.measured) != sorted(self.sweep.distinct()):
            raise ValueError("a sweep's record has what came of each of its points, and of no others")
        return self

    def write_as(self, path: Path) -> Path:
        """Writes the record, in place of what has the name, whole or not at all.

        Raises:
            UsageError: the folder cannot be written.
        """
        return write_whole(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a file.

        Raises:
            UsageError: it cannot be read.
            InvalidRecordError: there is no whole record of this schema in it.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UsageError(f"record {path}: cannot be read ({error.strerror})") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise InvalidRecordError(f"record {path}: no whole record of a sweep ({where}: {first['msg']})") from None
