"""Survival rates of a loop, in numbers and in words."""

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
    """How often a loop survived, over the runs in which a fault happened."""

    outcomes: dict[Outcome, int]  # the most frequent first
    untested: int  # runs in which the fault was not tested
    recoveries: tuple[int | None, ...] = ()  # of runs alive: batches until recovery; None: not recovered
    why_untested: str = ""  # the reason of the first untested run

    @classmethod
    def of(cls, survivals: Iterable[Survival]) -> Self:
        """Counts the outcomes of runs."""
        survivals = list(survivals)
        counts = collections.Counter(run.outcome for run in survivals)
        untested = counts.pop("not tested", 0)
        recoveries = tuple(run.recovery for run in survivals if run.outcome in ALIVE)
        why = next((run.reason for run in survivals if run.outcome == "not tested"), "")
        return cls(dict(counts.most_common()), untested, recoveries, why)

    @property
    def runs(self) -> int:
        """The number of tested runs."""
        return sum(self.outcomes.values())

    @property
    def alive(self) -> int:
        """The number of runs with finite numbers that continue to learn."""
        return sum(self.outcomes.get(outcome, 0) for outcome in ALIVE)

    @property
    def share(self) -> Interval | None:
        """The share of tested runs that are alive, with its Wilson interval; None: no run was tested."""
        return wilson_interval(self.alive, self.runs) if self.runs else None


Magnitude = tuple[str, str]
"""The variables that are hit, and the magnitude of their gradients: `("generator", "× 10000")`."""


def by_magnitude(survivals: Iterable[Survival]) -> dict[Magnitude, Rate]:
    """Survival rates for faults in all gradients of one batch, by network and magnitude; other faults are left out."""
    by_fault: dict[str, list[Survival]] = {}
    for survival in survivals:
        by_fault.setdefault(survival.fault, []).append(survival)
    groups: dict[Magnitude, list[Survival]] = {}
    for text, runs in by_fault.items():
        if magnitude := magnitude_of(Fault.parse(text)):
            groups.setdefault(magnitude, []).extend(runs)
    return {magnitude: Rate.of(runs) for magnitude, runs in groups.items()}


def magnitude_of(fault: Fault) -> Magnitude | None:
    """The magnitude of a fault in all gradients of one batch, at the default batch; None: a fault of another form."""
    if fault != Fault(fault.kind, fault.factor, target=fault.target):
        return None
    return fault.target, {"nan": "NaN", "inf": "infinite", "scale": f"× {fault.factor:g}"}[fault.kind]


def died(runs: Iterable[Undisturbed]) -> tuple[int, int, Interval | None]:
    """Deaths in long runs without a fault: the number of dead runs, of completed or crashed runs, and the share."""
    ended = [run for run in runs if run.ended in ("whole", "crashed")]
    dead = sum(run.died for run in ended)
    return dead, len(ended), wilson_interval(dead, len(ended)) if ended else None


def outcome(survivals: Sequence[Survival]) -> str:
    """Words for the runs with one fault: outcome and reason of a single run; `rate` of several, with why untested."""
    if not survivals:
        return NOT_MEASURED
    if len(survivals) == 1:
        return f"{survivals[0].outcome}: {survivals[0].reason}"
    counts = Rate.of(survivals)
    if not counts.untested:
        return rate(counts)
    return f"{rate(counts)}{'; not tested' if counts.runs else ''}: {counts.why_untested}"


def outcomes(survivals: Sequence[Survival]) -> str:
    """The outcomes of the runs with one fault, in short: `frozen`, or `9 skipped, 1 crashed`."""
    rates = Rate.of(survivals)
    counts = [*rates.outcomes.items(), *([("not tested", rates.untested)] if rates.untested else [])]
    return counts[0][0] if len(survivals) == 1 else ", ".join(f"{count} {name}" for name, count in counts)


def rate(measured: Rate) -> str:
    """A rate in words, with Wilson's 95% interval: `10 of 10 alive (72% to 100%): 10 skipped; back after 0 batches`."""
    untested = f"{measured.untested} not tested" if measured.untested else ""
    if measured.share is None:
        return untested or NOT_MEASURED
    counts = [f"{count} {name}" for name, count in measured.outcomes.items()]
    share = f"{measured.share.low:.0%} to {measured.share.high:.0%}"
    text = f"{measured.alive} of {measured.runs} alive ({share}): {', '.join([*counts, *filter(None, [untested])])}"
    return f"{text}; {back(measured.recoveries)}" if measured.alive else text


def back(recoveries: Sequence[int | None]) -> str:
    """The recoveries of runs that are alive, in words: `back after 0 to 12 batches, 3 not back`."""
    recovered = [batches for batches in recoveries if batches is not None]
    never = f"{len(recoveries) - len(recovered)} not back" if len(recovered) < len(recoveries) else ""
    if not recovered:
        return never
    least, most = min(recovered), max(recovered)
    after = str(least) if least == most else f"{least} to {most}"
    return ", ".join(filter(None, [f"back after {after} batches", never]))
