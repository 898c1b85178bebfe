"""The claim of crashes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

from bench import statistics
from bench.experiments.survival.record import Undisturbed
from bench.records.claims.answer import Answer, Claim
from bench.records.claims.evidence import Evidence
from bench.settings import ARMS
from bench.statistics import Interval

LEAST = 1.0
"""Of 1–2 crashes in 100 epochs."""

CRASHES = Claim("NaN crashes", "1–2 in 100 epochs before, none after")


def crashes(evidence: Evidence) -> Answer:
    """Of loops that train without a fault; what a fault does to them is said, and is another question."""
    record = evidence.survival
    runs = {arm: record.undisturbed.get(arm, ()) for arm in ARMS} if record else {}
    whole = {run.batches for found in runs.values() for run in found if run.ended == "whole"}
    if record is None or not all(runs.values()) or not whole:
        return CRASHES.cannot_be_told(
            "no record of long runs without a fault is given: python -m bench survive --epochs 100", _faults(evidence)
        )
    batches_per_epoch = max(whole) / record.plan.epochs
    rates = {arm: Deaths.of(found, batches_per_epoch) for arm, found in runs.items()}
    if not all(found.epochs for found in rates.values()):
        return CRASHES.cannot_be_told("a loop died in the first batch of every run")
    before, after = (rates[arm].in_hundred_epochs for arm in ARMS)
    measured = "; ".join(f"{arm}: {found.told}" for arm, found in rates.items())
    if before.high < LEAST:
        return CRASHES.does_not_hold(measured, f"the loop before dies less often by itself{_but(evidence)}")
    if after.estimate > 0:
        return CRASHES.does_not_hold(measured, "the loop after dies, too")
    if before.low >= LEAST and after.high < LEAST:
        return CRASHES.holds(measured, "the loop before dies so often, and the loop after never did")
    return CRASHES.cannot_be_told("too few epochs to tell such rates apart", measured)


@dataclasses.dataclass(frozen=True)
class Deaths:
    """Of one loop, in all its long runs."""

    count: int
    epochs: float  # until death, or to the end

    @classmethod
    def of(cls, runs: Sequence[Undisturbed], batches_per_epoch: float) -> Self:
        """Those of some runs without a fault."""
        lived = sum(run.batches if run.first_bad is None else run.first_bad for run in runs)
        return cls(sum(run.died for run in runs), lived / batches_per_epoch)

    @property
    def in_hundred_epochs(self) -> Interval:
        """A Poisson rate with its exact 95% interval."""
        return Interval(*(100 * value / self.epochs for value in statistics.poisson_interval(self.count)))

    @property
    def told(self) -> str:
        """In words."""
        rate, low, high = self.in_hundred_epochs
        return f"{self.count} in {self.epochs:.0f} epochs, or {rate:.2g} in 100 (95%: {low:.2g} to {high:.2g})"


def _but(evidence: Evidence) -> str:
    told = _faults(evidence)
    return f"; {told}" if told else ""


def _faults(evidence: Evidence) -> str:
    """What a batch of gradients that are not numbers does to each loop, as the run has it."""
    run = evidence.valid_run
    if run is None:
        return ""
    outcomes = {
        arm: dict.fromkeys(each.outcome for each in run.arms[arm].survivals if each.fault.startswith("nan"))
        for arm in ARMS
    }
    if not all(outcomes.values()):
        return ""
    return "after one batch of NaN gradients: " + ", ".join(
        f"{arm} {' or '.join(found)}" for arm, found in outcomes.items()
    )
