"""The record of profiling two loops: immutable, validated when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Count, Document, Frozen, NotNegative, Seconds
from loop_bench.settings import ARMS, Settings

SCHEMA: Final = 2

Device = Literal["CPU", "GPU"]
"""The device whose ops a trace shows."""


class OpTime(Frozen):
    """Time of all runs of an op, or of all ops of a kind, in a stretch."""

    name: str
    kind: str
    count: Annotated[int, Field(gt=0)]  # runs
    in_flight: NotNegative  # seconds from start to completion, less nested ops; summed over runs, which may overlap
    apportioned: NotNegative  # seconds of wall clock: each moment is divided evenly among the ops in flight


class Gaps(Frozen):
    """The times without an op in flight."""

    count: Count
    longest: NotNegative  # seconds
    seconds: NotNegative  # of all gaps together


class Timed(Frozen):
    """Wall-clock and CPU time of a stretch of batches, between fences."""

    seconds: Seconds  # wall clock
    cpu_seconds: NotNegative  # of all threads of the process, including spinning ones


class Profile(Frozen):
    """The profile of one loop: a traced stretch, between two untraced ones."""

    factory: str
    device: Device  # the device of these ops
    untraced: tuple[Timed, ...]  # stretches of as many batches, before and after
    traced: Timed
    stretch: Seconds  # duration by the trace, to which all fields below refer
    busy: NotNegative  # seconds with an op in flight
    gaps: Gaps
    ops: tuple[OpTime, ...]  # by name, the largest share of the stretch first
    kinds: tuple[OpTime, ...]  # the same ops, summed by kind
    problems: tuple[str, ...] = ()  # errors and warnings that the trace reports

    @property
    def busy_share(self) -> float:
        """Share of the traced stretch with an op in flight."""
        return self.busy / self.stretch

    @property
    def overhead(self) -> float:
        """Wall-clock time that tracing adds, as a share of the untraced time."""
        return self.traced.seconds / float(np.mean([timed.seconds for timed in self.untraced])) - 1

    @property
    def overlap(self) -> float | None:
        """Mean number of ops in flight during busy time; None: no op ran."""
        return sum(op.in_flight for op in self.ops) / self.busy if self.busy else None

    @property
    def cores(self) -> float:
        """Mean number of CPUs that the process keeps busy without the profiler."""
        return sum(timed.cpu_seconds for timed in self.untraced) / sum(timed.seconds for timed in self.untraced)


class ProfileRecord(Document):
    """The profiles of both loops."""

    title: ClassVar[str] = "profile record"

    kind: Literal["profile"] = "profile"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    settings: Settings  # `batches` is the length of a stretch
    every_op: bool = False  # whether cheap ops of plain graphs on a CPU were traced as well
    arms: dict[str, Profile]

    @model_validator(mode="after")
    def _has_both_arms(self) -> Self:
        if sorted(self.arms) != sorted(ARMS):
            raise ValueError(f"a profile is of {' and '.join(ARMS)}, not of {', '.join(self.arms)}")
        return self
