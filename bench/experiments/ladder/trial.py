"""The examination of one rung, in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from bench.experiments.ladder.plan import Ladder, Rung
from bench.experiments.ladder.record import Finding
from bench.jobs.trial import Result, Trial


class RungTrial(Trial[Finding]):
    """A rung, and the baseline that it is compared with."""

    work: ClassVar = "bench.experiments.ladder.examination:examine_trial"
    finding: ClassVar = Finding

    rung: Rung
    baseline: Rung
    preset: str
    seed: int
    time_limit: Annotated[float, Field(gt=0)] = 1200.0  # seconds; what takes longer hangs

    @classmethod
    def of(cls, ladder: Ladder, rung: Rung) -> Self:
        """The trial of a rung of a ladder."""
        return cls(rung=rung, baseline=ladder.baseline, preset=ladder.preset, seed=ladder.seed)

    @property
    def title(self) -> str:
        return self.rung.name

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return tuple((each.factory, each.options) for each in (self.rung, self.baseline))


def finding(result: Result[Finding]) -> Finding:
    """What is known of a rung; only what its process died of, if it did."""
    return result.found or Finding(died=result.died)
