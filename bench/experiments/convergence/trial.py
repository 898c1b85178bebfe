"""One loop from one seed: a run in a process of its own, and how the loop's quality went while it trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.document import Count, Frozen
from bench.jobs.trial import Ending, Result, Trial


class Moment(Frozen):
    """What was seen when training stood still."""

    batch: Count  # trained so far
    seconds: Annotated[float, Field(ge=0)]  # of training so far, with tracing and compilation, without evaluations
    temperature: float | None = None  # of the next batch, if the loop says
    quality: dict[str, float]  # by name, as `evaluate()` of the loop gives it


class Course(Frozen):
    """A run of one loop from one seed."""

    seed: Count
    ended: Ending
    why: str = ""  # it is not whole
    start: str = ""  # a digest of all weights before the first batch: those who have the same began alike
    moments: tuple[Moment, ...] = ()  # the first before any batch

    @property
    def flaw(self) -> str:
        """Why nothing can be read from it; empty of one that came to its end with finite numbers."""
        if self.ended != "whole":
            return f"{self.ended}: {self.why}"
        for moment in self.moments:
            bad = [name for name, value in moment.quality.items() if not math.isfinite(value)]
            if bad:
                return f"{bad[0]} was not finite after {moment.batch} batches"
        return ""


class ConvergenceTrial(Trial[Course]):
    """A run of one loop from one seed."""

    work: ClassVar = "bench.experiments.convergence.watching:follow_trial"
    finding: ClassVar = Course

    loop: str  # what it is called among the loops of an experiment
    factory: str
    preset: str
    seed: int
    options: dict[str, Any] = Field(default_factory=dict)
    epochs: Annotated[int, Field(gt=0)]
    every: Annotated[int, Field(gt=0)] | None = None  # batches of an epoch; None: the loop's own

    @property
    def title(self) -> str:
        return f"{self.loop}, seed {self.seed}"

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return ((self.factory, self.options),)


def course(trial: ConvergenceTrial, result: Result[Course]) -> Course:
    """How a run went; only how it ended, of a process that died."""
    return result.found or Course(seed=trial.seed, ended=result.ended, why=result.why)
