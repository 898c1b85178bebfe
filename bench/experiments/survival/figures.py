"""How many runs of a loop came through a fault, in numbers and in words."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

from typing_extensions import Self

from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.record import ALIVE, Outcome, Survival, Undisturbed
from loop_bench.report.rows import NOT_MEASURED
from loop_bench.statistics import Interval, wilson_interval


@dataclasses.dataclass(frozen=True)
class Rate:
    """How often a loop survived, of the runs in which a fault could be made to happen."""

    outcomes: dict[Outcome, int]  # the most frequent first
    untested: int  # runs that tell nothing
    recoveries: tuple[int | None, ...] = ()  # of those alive: batches until they were back, None where they never were
    why_untested: str = ""  # the reason of the first run that tells nothing

    @classmethod
    def of(cls, survivals: Iterable[Survival]) -> Self:
        """Counts them."""
        survivals = list(survivals)
        counts = collections.Counter(each.outcome for each in survivals)
        untested = counts.pop("not tested", 0)
        back = tuple(each.recovery for each in survivals if each.outcome in ALIVE)
        why = next((each.reason for each in survivals if each.outcome == "not tested"), "")
        return cls(dict(counts.most_common()), untested, back, why)

    @property
    def runs(self) -> int:
        """That tell something."""
        return sum(self.outcomes.values())

    @property
    def alive(self) -> int:
        """Runs that have finite numbers and go on learning."""
        return sum(self.outcomes.get(outcome, 0) for outcome in ALIVE)

    @property
    def share(self) -> Interval | None:
        """Share of runs alive, with its Wilson interval; None without any run that tells something."""
        return wilson_interval(self.alive, self.runs) if self.runs else None


Magnitude = tuple[str, str]
"""The variables that are hit, and how large their gradients are made: `("generator", "× 10000")`."""


def by_magnitude(survivals: Iterable[Survival]) -> dict[Magnitude, Rate]:
    """Rates of runs in which all gradients of one batch went wrong, by network and size; other faults are left out."""
    by_fault: dict[str, list[Survival]] = {}
    for each in survivals:
        by_fault.setdefault(each.fault, []).append(each)
    groups: dict[Magnitude, list[Survival]] = {}
    for text, found in by_fault.items():
        if magnitude := magnitude_of(Fault.parse(text)):
            groups.setdefault(magnitude, []).extend(found)
    return {magnitude: Rate.of(found) for magnitude, found in groups.items()}


def magnitude_of(fault: Fault) -> Magnitude | None:
    """None for a fault that is elsewhere, or anything but one whole batch of gradients at the usual time."""
    if fault != Fault(fault.kind, fault.factor, target=fault.target):
        return None
    return fault.target, {"nan": "NaN", "inf": "infinite", "scale": f"× {fault.factor:g}"}[fault.kind]


def died(runs: Iterable[Undisturbed]) -> tuple[int, int, Interval | None]:
    """Long runs without a fault that ended by themselves: how many died, of how many, and the share."""
    ended = [run for run in runs if run.ended in ("whole", "crashed")]
    dead = sum(run.died for run in ended)
    return dead, len(ended), wilson_interval(dead, len(ended)) if ended else None


def outcome(survivals: Sequence[Survival]) -> str:
    """How runs with one fault came out: a single one with its reason, several as `rate`, and why some tell nothing."""
    if not survivals:
        return NOT_MEASURED
    if len(survivals) == 1:
        return f"{survivals[0].outcome}: {survivals[0].reason}"
    found = Rate.of(survivals)
    if not found.untested:
        return rate(found)
    return f"{rate(found)}{'; not tested' if found.runs else ''}: {found.why_untested}"


def outcomes(survivals: Sequence[Survival]) -> str:
    """How runs with one fault came out, in a word each: `frozen`, or `9 skipped, 1 crashed`."""
    counts = Rate.of(survivals)
    told = [*counts.outcomes.items(), *([("not tested", counts.untested)] if counts.untested else [])]
    return told[0][0] if len(survivals) == 1 else ", ".join(f"{count} {each}" for each, count in told)


def rate(found: Rate) -> str:
    """`10 of 10 alive (72% to 100%): 10 skipped; back after 0 batches`; the interval is Wilson's, 95%."""
    untested = f"{found.untested} not tested" if found.untested else ""
    if found.share is None:
        return untested or NOT_MEASURED
    counts = [f"{count} {each}" for each, count in found.outcomes.items()]
    share = f"{found.share.low:.0%} to {found.share.high:.0%}"
    told = f"{found.alive} of {found.runs} alive ({share}): {', '.join([*counts, *filter(None, [untested])])}"
    return f"{told}; {back(found.recoveries)}" if found.alive else told


def back(recoveries: Sequence[int | None]) -> str:
    """`back after 0 to 12 batches, 3 not back`, of runs that are alive."""
    known = [each for each in recoveries if each is not None]
    never = f"{len(recoveries) - len(known)} not back" if len(known) < len(recoveries) else ""
    if not known:
        return never
    range_ = str(min(known)) if min(known) == max(known) else f"{min(known)} to {max(known)}"
    return ", ".join(filter(None, [f"back after {range_} batches", never]))
