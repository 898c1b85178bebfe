"""What a ladder is: a loop, and changes to it one at a time, each rung a named value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Count, Frozen
from loop_bench.experiments.equivalence.record import Candidate
from loop_bench.settings import NULL, Settings

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

    @property
    def candidate(self) -> Candidate:
        """The rung as something that can be held against the baseline."""
        return Candidate(self.name, self.factory, self.options, self.equivalent_options, self.exact)


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


@dataclasses.dataclass(frozen=True)
class Changes:
    """The changes from the loop before to the loop after, as options of the loop after."""

    steps: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=lambda: {"everything": {}})
    """By name: each the step before and one change more, in the order in which one would make them."""

    left_out: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """By name: all the changes without one."""

    exact: tuple[str, ...] = ()
    """Steps that only move reads and calls, and must compute the same bit for bit on a CPU."""


def ladder(settings: Settings, changes: Changes, equivalent: Mapping[str, Any] | None) -> Ladder:
    """The rungs between two loops.

    Args:
        settings: of the run; its options go to all rungs.
        changes: of the pair.
        equivalent: options with which all rungs compute the same; None where none are known.
    """
    same = None if equivalent is None else dict(equivalent)

    def rung(name: str, group: Group, options: Mapping[str, Any]) -> Rung:
        given = {**options, **settings.options}
        exact = name in changes.exact
        return Rung(name=name, factory=settings.after, options=given, group=group, equivalent_options=same, exact=exact)

    rungs = (
        Rung(name="baseline", factory=settings.before, options=dict(settings.options), group="baseline"),
        *(rung(name, "step", options) for name, options in changes.steps.items()),
        *(rung(name, "left out", options) for name, options in changes.left_out.items()),
    )
    return Ladder(rungs=rungs, preset=settings.preset, seed=settings.seed, batches=settings.batches)
