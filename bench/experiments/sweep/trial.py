"""Both loops at one size of the work: a measurement in a process of its own."""

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
    """What is measured: a size of the work, with all that the loops are to be built with."""

    settings: Settings
    tokens: Annotated[int, Field(gt=0)] | None = None  # in a sample; None where it is not known
    time_limit: Annotated[float, Field(gt=0)]  # seconds, with starting the process

    @property
    def key(self) -> str:
        """The key of its trial."""
        return PointTrial.of(self).key


class TimedPoint(Frozen):
    """Both loops and the null arm, timed in turns."""

    record: Record  # of the rounds, without the loops' histories
    samples: dict[str, float]  # a batch, of the arms that say so


class PointTrial(Trial[TimedPoint]):
    """The measurement of a point."""

    work: ClassVar[str] = "loop_bench.experiments.sweep.experiment:measure_trial"
    finding: ClassVar[type[TimedPoint]] = TimedPoint
    is_timed: ClassVar[bool] = True

    settings: Settings
    tokens: int | None
    name: str = Field(default="", exclude=True)  # what a person calls the point, on whatever axes it lies

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
    why: str = ""  # it was not measured
    seconds: float  # process start included
    record: Record | None = None  # of the rounds, without the loops' histories
    samples: dict[str, float] = Field(default_factory=dict)  # a batch, of the arms that say so

    @model_validator(mode="after")
    def _has_a_record_if_measured(self) -> Self:
        if (self.record is not None) != (self.ended == "measured"):
            raise ValueError("what was measured has a record, and nothing else has")
        return self

    @classmethod
    def of(cls, point: Point, result: Result[TimedPoint]) -> Self:
        """The result of a point's trial."""
        if result.found is not None:
            record, samples = result.found.record, result.found.samples
            return cls(point=point, ended="measured", seconds=result.seconds, record=record, samples=samples)
        assert result.ended != "whole"
        return cls(point=point, ended=result.ended, why=result.why, seconds=result.seconds)
