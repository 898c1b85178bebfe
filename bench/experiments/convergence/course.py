"""How a loop's quality went while it trained."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from bench.document import Count, Frozen

Ended = Literal["whole", "crashed", "timed out"]


class Moment(Frozen):
    """What was seen when training stood still."""

    batch: Count  # trained so far
    seconds: Annotated[float, Field(ge=0)]  # of training so far, with tracing and compilation, without evaluations
    temperature: float | None = None  # of the next batch, if the loop says
    quality: dict[str, float]  # by name, as `evaluate()` of the loop gives it


class Course(Frozen):
    """A run of one loop from one seed."""

    seed: Count
    ended: Ended
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
