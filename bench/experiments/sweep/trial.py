"""The measurement of both loops at one size of the work, in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Frozen
from loop_bench.experiments.run.record import Record
from loop_bench.jobs.trial import Result, Trial
from loop_bench.settings import Settings


class Point(Frozen):
    """One size of the work: the settings with which both loops are measured."""

    settings: Settings
    tokens: Annotated[int, Field(gt=0)] | None = None  # in a sample; None: not known
    time_limit: Annotated[float, Field(gt=0)]  # seconds, from the start of the process

    @property
    def key(self) -> str:
        """The key of the point's trial."""
        return PointTrial.of(self).key


class TimedPoint(Frozen):
    """The timed rounds of both loops and the null arm at one point."""

    record: Record  # of the rounds, without the loops' histories
    samples: dict[str, float]  # in a batch, by arm, of loops that report them


class PointTrial(Trial[TimedPoint]):
    """The measurement of a point, as a trial."""

    work: ClassVar[str] = "loop_bench.experiments.sweep.experiment:measure_trial"
    finding: ClassVar[type[TimedPoint]] = TimedPoint
    is_timed: ClassVar[bool] = True

    settings: Settings
    tokens: int | None
    name: str = Field(default="", exclude=True)  # title of the point, see `Sweep.titles`

    @classmethod
    def of(cls, point: Point, name: str = "") -> Self:
        """The trial of a point."""
        return cls(settings=point.settings, tokens=point.tokens, name=name, time_limit=point.time_limit)

    @property
    def title(self) -> str:
        return self.name

    @classmethod
    def preload(cls) -> tuple[str, ...]:
        return (*super().preload(), "loop_bench.experiments.run.measurement")

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return tuple((factory, self.settings.options) for factory in (self.settings.before, self.settings.after))


class Measured(Frozen):
    """Result of one point."""

    point: Point
    ended: Literal["measured", "crashed", "timed out"]
    why: str = ""  # why it was not measured
    seconds: float  # start of the process included
    record: Record | None = None  # of the rounds, without the loops' histories
    samples: dict[str, float] = Field(default_factory=dict)  # in a batch, by arm, of loops that report them

    @model_validator(mode="after")
    def _has_a_record_if_measured(self) -> Self:
        if (self.record is not None) != (self.ended == "measured"):
            raise ValueError("a result has a record if it was measured, and only then")
        return self

    @classmethod
    def of(cls, point: Point, result: Result[TimedPoint]) -> Self:
        """Converts the result of a point's trial."""
        if result.found is not None:
            record, samples = result.found.record, result.found.samples
            return cls(point=point, ended="measured", seconds=result.seconds, record=record, samples=samples)
        assert result.ended != "whole"
        return cls(point=point, ended=result.ended, why=result.why, seconds=result.seconds)
