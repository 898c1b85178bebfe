"""How many runs of a loop came through a fault."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from typing import Self

from bench.experiments.survival.fault import Fault
from bench.experiments.survival.record import ALIVE, Outcome, Survival, Undisturbed
from bench.statistics import Interval, wilson_interval


@dataclasses.dataclass(frozen=True)
class Rate:
    """Of the runs in which a fault could be made to happen."""

    outcomes: dict[Outcome, int]  # the most frequent first
    untested: int  # runs that tell nothing
    recoveries: tuple[int | None, ...] = ()  # of those alive: batches until they were back, None where they never were

    @classmethod
    def of(cls, survivals: Iterable[Survival]) -> Self:
        """Counts them."""
        survivals = list(survivals)
        counts = collections.Counter(each.outcome for each in survivals)
        untested = counts.pop("not tested", 0)
        back = tuple(each.recovery for each in survivals if each.outcome in ALIVE)
        return cls(dict(counts.most_common()), untested, back)

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


Magnitude = tuple[str, str]
"""The variables that are hit, and how large their gradients are made: `("generator", "× 10000")`."""


def by_magnitude(survivals: Iterable[Survival]) -> dict[Magnitude, Rate]:
    """Of runs in which all gradients of one batch went wrong, by network and size; other faults are left out."""
    groups: dict[Magnitude, list[Survival]] = {}
    for each in survivals:
        if magnitude := magnitude_of(Fault.parse(each.fault)):
            groups.setdefault(magnitude, []).append(each)
    return {magnitude: Rate.of(found) for magnitude, found in groups.items()}


def magnitude_of(fault: Fault) -> Magnitude | None:
    """None for a fault that is elsewhere, or anything but one whole batch of gradients at the usual time."""
    if fault != Fault(fault.kind, fault.factor, target=fault.target):
        return None
    return fault.target, {"nan": "NaN", "inf": "infinite", "scale": f"× {fault.factor:g}"}[fault.kind]


def died(runs: Iterable[Undisturbed]) -> tuple[int, int, Interval | None]:
    """Of long runs without a fault that came to an end of their own: how many died, of how many, and the share."""
    ended = [run for run in runs if run.ended in ("whole", "crashed")]
    dead = sum(run.died for run in ended)
    return dead, len(ended), wilson_interval(dead, len(ended)) if ended else None
