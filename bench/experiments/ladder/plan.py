"""The plan of a ladder: a baseline loop and its changes, one at a time, each a named rung."""

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
"""Group of a rung: the first; one change more than the rung before; the full set without one change."""


class Rung(Frozen):
    """A loop on the way from the baseline to the full set of changes."""

    name: str  # of the change, for tables
    factory: str  # as module:factory
    options: dict[str, Any] = Field(default_factory=dict)  # of the LoopSpec
    group: Group
    equivalent_options: dict[str, Any] | None = None
    """Additional options under which this loop and the baseline must compute the same; None: not known."""
    exact: bool = False  # whether it must do so bit for bit on a CPU, because it only moves reads and calls

    @property
    def candidate(self) -> Candidate:
        """The rung as a candidate for an equivalence check with the baseline."""
        return Candidate(self.name, self.factory, self.options, self.equivalent_options, self.exact)


class Ladder(Frozen):
    """The rungs in the order of the table (baseline, steps, left out), and the work of a round."""

    rungs: tuple[Rung, ...]
    preset: str
    seed: Count
    batches: Annotated[int, Field(gt=0)]  # batches of each rung in a round

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        names = [rung.name for rung in self.rungs]
        if len({*names, NULL}) <= len(names):
            raise ValueError(f"rungs must have unique names other than {NULL!r}, not {', '.join(names)}")
        groups = [rung.group for rung in self.rungs]
        steps = groups.count("step")
        if not steps or groups != ["baseline", *["step"] * steps, *["left out"] * (len(groups) - 1 - steps)]:
            raise ValueError(f"a ladder is baseline, step, …, left out, …; not {', '.join(groups)}")
        return self

    @property
    def baseline(self) -> Rung:
        """The first rung, without changes."""
        return self.rungs[0]

    @property
    def full(self) -> Rung:
        """The last step, with all changes."""
        return [rung for rung in self.rungs if rung.group == "step"][-1]

    def reference(self, rung: Rung) -> Rung | None:
        """The rung that differs from this one by one change; None: this is the baseline."""
        if rung.group == "left out":
            return self.full
        index = self.rungs.index(rung)
        return self.rungs[index - 1] if index else None


@dataclasses.dataclass(frozen=True)
class Changes:
    """The changes from the loop before to the loop after, as options of the loop after."""

    steps: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=lambda: {"everything": {}})
    """Options by the name of the change: those of the step before and one more, in the order of the steps."""

    left_out: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Options by the name of the change that is left out."""

    exact: tuple[str, ...] = ()
    """Steps that only move reads and calls, and must compute the same bit for bit on a CPU."""


def ladder(settings: Settings, changes: Changes, equivalent: Mapping[str, Any] | None) -> Ladder:
    """Plans the rungs between two loops.

    Args:
        settings: settings of the run; its options go to all rungs.
        changes: changes of the pair.
        equivalent: options under which all rungs compute the same; None: not known.
    """
    equivalent_options = None if equivalent is None else dict(equivalent)

    def rung(name: str, group: Group, options: Mapping[str, Any]) -> Rung:
        return Rung(
            name=name,
            factory=settings.after,
            options={**options, **settings.options},
            group=group,
            equivalent_options=equivalent_options,
            exact=name in changes.exact,
        )

    rungs = (
        Rung(name="baseline", factory=settings.before, options=dict(settings.options), group="baseline"),
        *(rung(name, "step", options) for name, options in changes.steps.items()),
        *(rung(name, "left out", options) for name, options in changes.left_out.items()),
    )
    return Ladder(rungs=rungs, preset=settings.preset, seed=settings.seed, batches=settings.batches)
