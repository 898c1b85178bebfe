"""The result of a run: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import UsageError

ARMS = ("before", "after")

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]

Outcome = Literal["survived", "frozen", "diverged", "poisoned", "crashed", "not tested"]
"""Of a loop after a fault, from best to worst; the last when the fault could not be made to happen."""


class _Frozen(BaseModel):
    # NaN and infinity are results here (a loss, a worst value), so JSON must keep them apart from nothing.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Start(_Frozen):
    """Once from nothing to a running loop."""

    build_seconds: Seconds  # the factory
    first_batch_seconds: Seconds  # with tracing and compilation

    @property
    def seconds(self) -> float:
        """From calling the factory to the end of the first batch."""
        return self.build_seconds + self.first_batch_seconds


class Round(_Frozen):
    """A block of batches of each arm, timed one after the other."""

    batches: Annotated[int, Field(gt=0)]  # of each arm
    order: tuple[str, ...]
    seconds: dict[str, Seconds]  # by arm, for all the batches

    @model_validator(mode="after")
    def _is_of_both_arms(self) -> Self:
        if sorted(self.seconds) != sorted(ARMS) or sorted(self.order) != sorted(ARMS):
            raise ValueError(f"a round is of {' and '.join(ARMS)}, not of {', '.join(self.seconds)}")
        return self


class ReadSite(_Frozen):
    """All the reads that one line of code made by one route."""

    route: str
    file: str
    line: Annotated[int, Field(ge=0)]
    reads: Annotated[int, Field(gt=0)]
    nbytes: Count
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]  # blocked in them


class HostSyncs(_Frozen):
    """The reads of the device by the host in a stretch of training and in handing over its history."""

    batches: Annotated[int, Field(gt=0)]
    sites: tuple[ReadSite, ...]

    @property
    def reads_per_batch(self) -> float:
        """Host syncs a batch."""
        return sum(site.reads for site in self.sites) / self.batches

    @property
    def nbytes_per_batch(self) -> float:
        """Bytes read from the device a batch."""
        return sum(site.nbytes for site in self.sites) / self.batches


class Survival(_Frozen):
    """How a loop came through one fault."""

    fault: str  # as bench.faults.Fault.parse takes it
    outcome: Outcome
    reason: str  # in words
    weights_finite: bool | None  # None when it was not tested
    optimizer_finite: bool | None
    movement: float  # of the attacked weights (median) afterwards, as a share of that without the fault
    batches: tuple[int, int, int]  # before the fault, until it had struck, after it


class Arm(_Frozen):
    """One of the loops and what was found out about it."""

    factory: str
    described_first: dict[str, Any] = {}  # what the loop said of itself before it was timed
    described_last: dict[str, Any] = {}  # and afterwards
    starts: tuple[Start, ...] = ()
    history: dict[str, tuple[float, ...]] = {}  # of the timed loop, by metric, one value a batch
    host_syncs: HostSyncs | None = None
    survivals: tuple[Survival, ...] = ()


class Settings(_Frozen):
    """What was asked for."""

    before: str
    after: str
    preset: str
    seed: int
    batches: Annotated[int, Field(gt=0)]
    rounds: Annotated[int, Field(gt=0)]
    options: dict[str, Any] = {}


class Record(_Frozen):
    """One run of the harness, with every raw sample."""

    schema_version: Literal[1] = 1
    created: datetime.datetime
    settings: Settings
    environment: dict[str, Any]
    arms: dict[str, Arm]
    rounds: tuple[Round, ...]

    @model_validator(mode="after")
    def _has_both_arms(self) -> Self:
        if sorted(self.arms) != sorted(ARMS):
            raise ValueError(f"a record is of {' and '.join(ARMS)}, not of {', '.join(self.arms)}")
        return self

    def write(self, folder: Path) -> Path:
        """Adds the record to `folder` as one file of its own, whole or not at all.

        Raises:
            UsageError: the folder cannot be written.
        """
        stem = f"{self.created:%Y%m%dT%H%M%SZ}-{self.settings.preset}-{secrets.token_hex(3)}"
        return write_whole(folder / f"{stem}.json", self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a file.

        Raises:
            UsageError: there is no file, or no record of this schema in it.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UsageError(f"record {path}: cannot be read ({error.strerror})") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise UsageError(f"record {path}: no record of schema 1 ({where}: {first['msg']})") from None


def write_whole(path: Path, text: str) -> Path:
    """Writes a file such that no reader, and no crash, ever meets half of it; gives its path.

    Raises:
        UsageError: the folder cannot be made or written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"results folder {path.parent}: cannot be written ({error.strerror})") from None
    return path
