"""How many runs of a loop came through a fault."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from typing import Self

from bench.faults.fault import GRADIENTS, Fault
from bench.record import ALIVE, Outcome, Survival
from bench.statistics import Interval, wilson_interval


@dataclasses.dataclass(frozen=True)
class Rate:
    """Of the runs in which a fault could be made to happen."""

    outcomes: dict[Outcome, int]  # the most frequent first
    untested: int  # runs that tell nothing

    @classmethod
    def of(cls, survivals: Iterable[Survival]) -> Self:
        """Counts them."""
        counts = collections.Counter(each.outcome for each in survivals)
        untested = counts.pop("not tested", 0)
        return cls(dict(counts.most_common()), untested)

    @property
    def runs(self) -> int:
        """That tell something."""
        return sum(self.outcomes.values())

    @property
    def alive(self) -> int:
        """Those that have finite numbers and go on learning."""
        return sum(self.outcomes.get(outcome, 0) for outcome in ALIVE)

    @property
    def share(self) -> Interval | None:
        """Of those alive, with its Wilson interval; None without any run that tells something."""
        return wilson_interval(self.alive, self.runs) if self.runs else None


def by_magnitude(survivals: Iterable[Survival]) -> dict[str, Rate]:
    """Of runs in which the gradients of one batch went wrong, by how large they were made; the rest left out."""
    groups: dict[str, list[Survival]] = {}
    for each in survivals:
        if magnitude := _magnitude(Fault.parse(each.fault)):
            groups.setdefault(magnitude, []).append(each)
    return {magnitude: Rate.of(found) for magnitude, found in groups.items()}


def _magnitude(fault: Fault) -> str | None:
    """`× 10000`, `infinite`, `NaN`; None for a fault that is elsewhere, or not in one whole batch."""
    if fault.place != GRADIENTS or fault.extent != "all" or fault.batches != 1:
        return None
    return {"nan": "NaN", "inf": "infinite", "scale": f"× {fault.factor:g}"}[fault.kind]
