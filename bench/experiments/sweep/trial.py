"""Both loops at one size, in a process of its own: `python -m bench.experiments.sweep.trial POINT RESULT`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from bench.document import Frozen
from bench.errors import UsageError
from bench.experiments.run.record import Arm, Record
from bench.jobs.pool import Death, Job, Result, die_with_parent, finish
from bench.settings import ARMS, Settings

if TYPE_CHECKING:  # what needs TensorFlow: the process watches its parent while that starts
    from bench.experiments.run.measurement import Measurement

LEAST_ROUNDS = 12
"""Of a point, however long they take, unless so many are asked for.

Each order of the three timed loops comes twice, and there are enough for an interval.
"""


class Point(Frozen):
    """What is measured: a size of the work, with all that the loops are to be built with."""

    settings: Settings
    tokens: Annotated[int, Field(gt=0)] | None = None  # in a sample; None where it is not known
    time_limit: Annotated[float, Field(gt=0)]  # seconds, with starting the process

    @property
    def name(self) -> str:
        """Of its job and its file: says all that can make a difference."""
        settings = self.settings.model_copy(update={"options": dict(sorted(self.settings.options.items()))})
        whole = self.model_copy(update={"settings": settings})
        return hashlib.sha256(whole.model_dump_json().encode()).hexdigest()[:20]

    def job(self, title: str) -> Job:
        """The process that measures it."""
        return Job(self.name, ("-m", "bench.experiments.sweep.trial", self.model_dump_json()), title, self.time_limit)


class Measured(Result):
    """What came of it."""

    point: Point
    ended: Literal["measured", "crashed", "timed out"]
    why: str = ""  # it was not measured
    seconds: float  # with starting the process
    record: Record | None = None  # of the rounds, without the loops' histories
    samples: dict[str, float] = Field(default_factory=dict)  # a batch, of the arms that say so

    @model_validator(mode="after")
    def _has_a_record_if_measured(self) -> Self:
        if (self.record is not None) != (self.ended == "measured"):
            raise ValueError("what was measured has a record, and nothing else has")
        return self

    @classmethod
    def died(cls, point: Point, death: Death) -> Self:
        """Of a process that could not say anything itself any more."""
        return cls(point=point, ended=death.how, why=death.why, seconds=death.seconds)


def measure(point: Point, measurement: Measurement, started: float) -> Measured:
    """Times both loops and the null arm in turns; what goes wrong meanwhile is a result.

    Args:
        point: to measure.
        measurement: of its settings.
        started: when its process began, by `time.monotonic`.
    """
    from bench.timing import stopping

    rule = stopping.of(point.settings)
    if point.settings.rounds is None:
        rule = stopping.AtLeast(LEAST_ROUNDS, rule)
    try:
        measurement.time_rounds(rule=rule)
        measurement.check_work()
    except Exception as error:  # out of memory above all, which has many names
        return Measured(point=point, ended="crashed", why=_say(error), seconds=time.monotonic() - started)
    record = measurement.record()
    return Measured(
        point=point,
        ended="measured",
        seconds=time.monotonic() - started,
        record=record.model_copy(update={"arms": {arm: _without_history(record.arms[arm]) for arm in ARMS}}),
        samples=measurement.samples_per_batch,
    )


def _without_history(arm: Arm) -> Arm:
    """It has been looked at, and is longer than all the rest."""
    return arm.model_copy(update={"history": {}})


def _say(error: Exception) -> str:
    """One line; a UsageError names what failed itself."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return first if isinstance(error, UsageError) else f"{type(error).__name__}: {first}"


def die_first(score: Path = Path("/proc/self/oom_score_adj")) -> None:
    """Has the system, when memory runs out, end this process and not one of those that wait for it."""
    with contextlib.suppress(OSError):  # there is no such file but on Linux
        score.write_text("1000")


def main(arguments: list[str]) -> int:
    """Measures the point that the first argument says, and leaves what came of it where the second one says."""
    started = time.monotonic()
    die_with_parent()
    die_first()
    point = Point.model_validate_json(arguments[0])
    from bench.experiments.run.measurement import Measurement

    return finish(Path(arguments[1]), lambda: measure(point, Measurement(point.settings), started))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # the result is there: what TensorFlow does when Python ends can only spoil it
