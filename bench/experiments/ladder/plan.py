"""What a ladder is: a loop, and changes to it one at a time, each rung a named value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bench.document import Count, Frozen
from bench.experiments.equivalence.record import Equivalence
from bench.settings import NULL

Group = Literal["baseline", "step", "left out"]
"""The first rung; one change more than the rung before it; the full set without one change."""


class Rung(Frozen):
    """A loop on the way from the baseline to the full set of changes."""

    name: str  # of the change, as tables have it
    factory: str  # as module:factory
    options: dict[str, Any] = Field(default_factory=dict)  # of its LoopSpec
    group: Group
    equivalent_options: dict[str, Any] | None = None
    """With these besides, both this loop and the baseline must compute the same; None where none are known."""
    exact: bool = False  # whether it must be so bit for bit on a CPU, for it only moves reads and calls

    def inexact(self, found: Equivalence, environment: Mapping[str, Any]) -> str:
        """Why it does not do that what was found is the same up to rounding, in words; empty if it does."""
        if not self.exact or found.bit_for_bit or environment.get("gpus"):
            return ""
        return f"only moves reads and calls, and is not bit for bit the same: {found.reason}"


class Ladder(Frozen):
    """The rungs in the order of a table: the baseline, the steps, what is left out; and the work that they do."""

    rungs: tuple[Rung, ...]
    preset: str
    seed: Count
    batches: Annotated[int, Field(gt=0)]  # of each rung in a round

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        names = [rung.name for rung in self.rungs]
        if len({*names, NULL}) <= len(names):
            raise ValueError(f"rungs must have names of their own, and none {NULL!r}, not {', '.join(names)}")
        groups = [rung.group for rung in self.rungs]
        steps = groups.count("step")
        if not steps or groups != ["baseline", *["step"] * steps, *["left out"] * (len(groups) - 1 - steps)]:
            raise ValueError(f"a ladder is a baseline, steps, then what is left out, not {', '.join(groups)}")
        return self

    @property
    def baseline(self) -> Rung:
        """The rung that all others are compared with."""
        return self.rungs[0]

    @property
    def full(self) -> Rung:
        """The last step: all the changes."""
        return [rung for rung in self.rungs if rung.group == "step"][-1]

    def reference(self, rung: Rung) -> Rung | None:
        """The rung that differs from this one by one change; None for the baseline."""
        if rung.group == "left out":
            return self.full
        at = self.rungs.index(rung)
        return self.rungs[at - 1] if at else None
