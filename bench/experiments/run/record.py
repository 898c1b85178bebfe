"""The result of a run: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from bench.document import Document, Frozen
from bench.experiments.telemetry.record import Telemetry
from bench.quantities import Count as Count
from bench.quantities import NotNegative as NotNegative
from bench.quantities import Seconds as Seconds

ARMS = ("before", "after")

NULL = "null"
"""A second instance of `before`, timed with the others: what a run finds between them is its own noise."""

TIMED = (ARMS[0], NULL, ARMS[1])

Ended = Literal["precise", "out of time", "as many as asked for"]
"""Why the rounds of a run came to an end."""

SCHEMA: Final = 6

Outcome = Literal[
    "skipped",
    "survived",
    "frozen",
    "diverged",
    "poisoned state",
    "poisoned weights",
    "crashed",
    "timed out",
    "not tested",
]
"""Of a loop after a fault, from best to worst; the last when the fault could not be made to happen."""

ALIVE: tuple[Outcome, ...] = ("skipped", "survived")
"""Those after which a loop has finite numbers and goes on learning."""


class Start(Frozen):
    """Once from nothing to a running loop."""

    build_seconds: Seconds  # the factory
    first_batch_seconds: Seconds  # with tracing and compilation

    @property
    def seconds(self) -> float:
        """From calling the factory to the end of the first batch."""
        return self.build_seconds + self.first_batch_seconds


class Round(Frozen):
    """A block of batches of each timed loop, one after the other."""

    batches: Annotated[int, Field(gt=0)]  # of each
    order: tuple[str, ...]
    seconds: dict[str, Seconds]  # for all the batches, by TIMED

    @model_validator(mode="after")
    def _is_of_all(self) -> Self:
        if sorted(self.seconds) != sorted(TIMED) or sorted(self.order) != sorted(TIMED):
            raise ValueError(f"a round is of {', '.join(TIMED)}, not of {', '.join(self.seconds)}")
        return self


class ReadSite(Frozen):
    """All the reads that one line of code made by one route."""

    route: str
    file: str
    line: Count
    source: str  # the line itself
    reads: Annotated[int, Field(gt=0)]
    nbytes: Count
    seconds: NotNegative  # blocked in them
    waits: Count  # reads whose value was not ready
    waited: NotNegative  # seconds until those values were


class GraphHostOps(Frozen):
    """Ops of one kind in a traced function in which the host takes part, whenever the function runs."""

    kind: str
    function: str
    file: str  # where they were made
    line: Count
    ops: Annotated[int, Field(gt=0)]


class TracedCopies(Frozen):
    """The copies from the device in the same stretch, as the profiler saw them, held against the reads."""

    matched: Count  # pairs of a read and a copy
    unexplained: Count  # copies that no read explains
    unexplained_nbytes: Count
    python_only: Count  # reads of values that were on the host already
    uncopied: Count  # reads of the device without a copy


class HostSyncs(Frozen):
    """The reads of the device by the host in a stretch of training and in handing over its history."""

    batches: Annotated[int, Field(gt=0)]
    sites: tuple[ReadSite, ...]
    in_graphs: tuple[GraphHostOps, ...] = ()  # of the functions that the loop had traced by then
    copies: TracedCopies | None = None  # None where no device was traced

    @property
    def reads_per_batch(self) -> float:
        """Host syncs a batch."""
        return sum(site.reads for site in self.sites) / self.batches

    @property
    def nbytes_per_batch(self) -> float:
        """Bytes read from the device a batch."""
        return sum(site.nbytes for site in self.sites) / self.batches


class Survival(Frozen):
    """How a loop came through one fault."""

    fault: str  # as bench.experiments.survival.Fault.parse takes it
    seed: int
    outcome: Outcome
    reason: str  # in words
    weights_finite: bool | None  # at the end; None when it was not seen
    state_finite: bool | None  # the same of optimizer state, and what else is not trained
    struck: Count  # batches in which the fault happened
    skipped: Count  # of them, those that left each weight that should be hit as it was, bit for bit
    moved_in_skips: tuple[str, ...]  # optimizer state that such a batch changed nevertheless
    first_bad: int | None  # the first batch (from 0) after which a number was not finite
    worst: float  # the largest magnitude of a weight after any batch from the fault on
    recovery: Count | None  # batches after the fault until every metric was back where it is without it
    movement: float  # of the attacked weights (median) afterwards, as a share of that without the fault
    batches: Count  # that were trained


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


class Arm(Frozen):
    """One of the loops and what was found out about it."""

    factory: str
    described_first: dict[str, Any] = Field(default_factory=dict)  # what the loop said of itself before it was timed
    described_last: dict[str, Any] = Field(default_factory=dict)  # and afterwards
    starts: tuple[Start, ...] = ()
    history: dict[str, tuple[float, ...]] = Field(
        default_factory=dict
    )  # of the timed loop, by metric, one value a batch
    touch_seconds: Seconds | None = None  # to add to each of its weights once and do nothing else
    host_syncs: HostSyncs | None = None
    survivals: tuple[Survival, ...] = ()
    telemetry: Telemetry | None = None  # None when it was not watched


class Settings(Frozen):
    """What was asked for."""

    before: str
    after: str
    preset: str
    seed: int
    batches: Annotated[int, Field(gt=0)]  # of each loop in a round
    rounds: Annotated[int, Field(gt=0)] | None = None  # exactly so many; None: until precise or out of time
    precision: Annotated[float, Field(gt=0)] = 0.03  # width of the ratio's 95% interval, as a share
    max_time: Annotated[float, Field(gt=0)] = 120.0  # seconds for the rounds
    options: dict[str, Any] = Field(default_factory=dict)


class Record(Document):
    """One run of the harness, with every raw sample."""

    kind: Literal["run"] = "run"
    schema_version: Literal[6] = SCHEMA
    created: datetime.datetime
    settings: Settings
    environment: dict[str, Any]
    arms: dict[str, Arm]
    rounds: tuple[Round, ...]
    rounds_ended: Ended | None = None  # None when nothing was timed
    rounds_seconds: float = 0.0  # wall clock from the first round to the last, with all that is done between them
    equivalence: Equivalence | None = None  # None when it was not looked at
    problems: tuple[str, ...] | None = None  # that the timed loops had with their work; None: not looked at

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
        return self.write_as(folder / f"{stem}.json")
