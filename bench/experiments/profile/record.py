"""The result of profiling two loops: immutable, checked when it is made, JSON on disk."""

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
"""Whose ops a trace shows."""


class OpTime(Frozen):
    """What the runs of an op, or of all ops of a kind, took in a stretch."""

    name: str
    kind: str
    count: Annotated[int, Field(gt=0)]  # of runs
    in_flight: NotNegative  # seconds from start to completion, less ops inside; summed over runs that may overlap
    apportioned: NotNegative  # of it, in seconds: each moment divided evenly among the ops in flight


class Gaps(Frozen):
    """The times when no op was in flight."""

    count: Count
    longest: NotNegative  # seconds
    seconds: NotNegative  # of all


class Timed(Frozen):
    """A stretch of batches, between fences."""

    seconds: Seconds  # wall clock
    cpu_seconds: NotNegative  # of all threads of the process together, spinning ones among them


class Profile(Frozen):
    """A stretch of a loop that was traced, and two beside it that were not."""

    factory: str
    device: Device  # whose ops these are
    untraced: tuple[Timed, ...]  # stretches of as many batches, before and after
    traced: Timed
    stretch: Seconds  # as the trace has it; what is below is of this time
    busy: NotNegative  # seconds of it with an op in flight
    gaps: Gaps
    ops: tuple[OpTime, ...]  # by name, the most of the stretch first
    kinds: tuple[OpTime, ...]  # the same ops by kind
    problems: tuple[str, ...] = ()  # that the trace says it has

    @property
    def busy_share(self) -> float:
        """Share of the traced stretch with an op in flight."""
        return self.busy / self.stretch

    @property
    def overhead(self) -> float:
        """What tracing adds to the wall-clock time, as a share of it."""
        return self.traced.seconds / float(np.mean([each.seconds for each in self.untraced])) - 1

    @property
    def overlap(self) -> float | None:
        """Ops in flight on average while any is; None without one."""
        return sum(op.in_flight for op in self.ops) / self.busy if self.busy else None

    @property
    def cores(self) -> float:
        """CPUs that the process keeps busy without the profiler, on average."""
        return sum(each.cpu_seconds for each in self.untraced) / sum(each.seconds for each in self.untraced)


class ProfileRecord(Document):
    """Profiles of both loops."""

    title: ClassVar[str] = "profile record"

    kind: Literal["profile"] = "profile"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    settings: Settings  # its batches are those of a stretch
    every_op: bool = False  # whether cheap ops of plain graphs on a CPU were traced as well
    arms: dict[str, Profile]

    @model_validator(mode="after")
    def _has_both_arms(self) -> Self:
        if sorted(self.arms) != sorted(ARMS):
            raise ValueError(f"a profile is of {' and '.join(ARMS)}, not of {', '.join(self.arms)}")
        return self
