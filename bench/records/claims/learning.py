"""Claims about learning: the annealed temperature, convergence, and crashes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from typing_extensions import Self

from loop_bench import statistics
from loop_bench.experiments.convergence.figures import NO_DIFFERENCE, ConvergenceFigures, MetricComparison, sign
from loop_bench.experiments.survival.record import Undisturbed
from loop_bench.records.claims.evidence import Answer, Claim, Evidence
from loop_bench.settings import ARMS
from loop_bench.statistics import Interval

SAID_TEMPERATURES = {1: 2.00, 5: 1.64, 10: 1.23, 15: 0.92, 20: 0.69}
"""Claimed temperatures, by epoch, counted from 1."""

LEAST_CRASHES = 1.0
"""Lower end of the claimed 1–2 crashes in 100 epochs."""


def _at_epochs(temperatures: Mapping[int, float]) -> str:
    values = ", ".join(f"{value:.2f}" for value in temperatures.values())
    return f"{values} at epochs {', '.join(map(str, temperatures))}"


TEMPERATURE = Claim("temperature", _at_epochs(SAID_TEMPERATURES))
CONVERGENCE = Claim("convergence", "annealing converges faster")
CRASHES = Claim("NaN crashes", "1–2 in 100 epochs before, none after")

_DIGITS = 0.005
"""Largest deviation from a claimed temperature: the claim has two digits."""

_NO_RECORD = "no record of convergence is given: loop-bench converge"


def temperature(evidence: Evidence) -> Answer:
    """Tests the claimed temperatures against those that the loop after reports at the beginning of each epoch."""
    record = evidence.convergence
    if record is None:
        return TEMPERATURE.cannot_be_told(_NO_RECORD)
    if record.plan.every is not None:
        return TEMPERATURE.cannot_be_told("the loops were evaluated every few batches, not after each epoch")
    by_batch = ConvergenceFigures.of(record).temperatures.get(ARMS[1], {})
    of_epochs = dict(enumerate(by_batch[batch] for batch in sorted(by_batch)))  # 0: before training; n: after epoch n
    reported = {epoch: of_epochs[epoch - 1] for epoch in SAID_TEMPERATURES if epoch - 1 in of_epochs}
    if not reported:
        return TEMPERATURE.cannot_be_told("the loop after reports no temperature")
    measured = _at_epochs(reported)
    wrong = [str(epoch) for epoch, value in reported.items() if abs(value - SAID_TEMPERATURES[epoch]) > _DIGITS]
    if wrong:
        return TEMPERATURE.does_not_hold(
            measured, f"it is another one at epoch{'s' * (len(wrong) > 1)} {', '.join(wrong)}"
        )
    if len(reported) < len(SAID_TEMPERATURES):
        return TEMPERATURE.cannot_be_told("the record has fewer epochs", measured)
    return TEMPERATURE.holds(measured, "all are as they were said")


def convergence(evidence: Evidence) -> Answer:
    """Tests whether annealing improves quality: the means over training of the loop with and without it, by seed.

    Self-BLEU does not count: lines that have less in common are not better for it.
    """
    record = evidence.convergence
    if record is None:
        return CONVERGENCE.cannot_be_told(_NO_RECORD)
    figures = ConvergenceFigures.of(record)
    pair = next((pair for pair in record.plan.pairs if pair.reference == evidence.fixed_temperature), None)
    judged = [compared for compared in figures.comparisons if compared.pair == pair and _decides(compared.metric)]
    if pair is None or not judged:
        return CONVERGENCE.cannot_be_told("no seed has complete runs with and without annealing")
    if not figures.alike:
        return CONVERGENCE.cannot_be_told("not all loops began with the same weights")
    description = f"{pair.changed} less {pair.reference}, mean over training, {judged[0].seeds} seeds"
    measured = f"{'; '.join(map(_mean, judged))} ({description})"
    better, worse = (
        [compared.metric for compared in judged if compared.mean.verdict == verdict] for verdict in ("better", "worse")
    )
    if worse:
        also = f", and better in {', '.join(better)}" if better else ""
        return CONVERGENCE.does_not_hold(measured, f"it is worse in {', '.join(worse)}{also}")
    if died := figures.flaws.get(pair.changed):
        return CONVERGENCE.cannot_be_told(f"{len(died)} of its runs did not complete", measured)
    if better:
        return CONVERGENCE.holds(measured, f"it is better in {', '.join(better)}, and worse in none")
    return CONVERGENCE.cannot_be_told(f"{NO_DIFFERENCE} over {judged[0].seeds} seeds", measured)


def _decides(metric: str) -> bool:
    return bool(sign(metric)) and not metric.lower().startswith("self-bleu")


def _mean(compared: MetricComparison) -> str:
    estimate, low, high = compared.mean.difference
    return f"{compared.metric} {estimate:+.3g} (95%: {low:+.3g} to {high:+.3g})"


def crashes(evidence: Evidence) -> Answer:
    """Tests the claimed rate of crashes in training without a fault; the outcome of a fault is only mentioned."""
    record = evidence.survival
    runs = {arm: record.undisturbed.get(arm, ()) for arm in ARMS} if record else {}
    whole = {run.batches for arm in runs for run in runs[arm] if run.ended == "whole"}
    if record is None or not all(runs.values()) or not whole:
        return CRASHES.cannot_be_told(
            "no record of long runs without a fault is given: loop-bench survive --epochs 100", _faults(evidence)
        )
    batches_per_epoch = max(whole) / record.plan.epochs
    rates = {arm: Deaths.of(runs[arm], batches_per_epoch) for arm in ARMS}
    if not all(deaths.epochs for deaths in rates.values()):
        return CRASHES.cannot_be_told("a loop died in the first batch of every run")
    before, after = (rates[arm].in_hundred_epochs for arm in ARMS)
    measured = "; ".join(f"{arm}: {deaths.words}" for arm, deaths in rates.items())
    if before.high < LEAST_CRASHES:
        return CRASHES.does_not_hold(measured, f"the loop before dies less often by itself{_after_faults(evidence)}")
    if after.estimate > 0:
        return CRASHES.does_not_hold(measured, "the loop after dies, too")
    if before.low >= LEAST_CRASHES and after.high < LEAST_CRASHES:
        return CRASHES.holds(measured, "the loop before dies so often, and the loop after never did")
    return CRASHES.cannot_be_told("too few epochs to distinguish such rates", measured)


@dataclasses.dataclass(frozen=True)
class Deaths:
    """The number of deaths of one loop in all its long runs without a fault."""

    count: int
    epochs: float  # trained in all runs, until death or the end

    @classmethod
    def of(cls, runs: Sequence[Undisturbed], batches_per_epoch: float) -> Self:
        """Counts the deaths and the trained epochs of these runs."""
        lived = sum(run.batches if run.first_bad is None else run.first_bad for run in runs)
        return cls(sum(run.died for run in runs), lived / batches_per_epoch)

    @property
    def in_hundred_epochs(self) -> Interval:
        """Deaths in 100 epochs: a Poisson rate with its exact 95% interval."""
        return Interval(*(100 * value / self.epochs for value in statistics.poisson_interval(self.count)))

    @property
    def words(self) -> str:
        """Count, epochs and rate in words."""
        rate, low, high = self.in_hundred_epochs
        return f"{self.count} in {self.epochs:.0f} epochs, or {rate:.2g} in 100 (95%: {low:.2g} to {high:.2g})"


def _after_faults(evidence: Evidence) -> str:
    faults = _faults(evidence)
    return f"; {faults}" if faults else ""


def _faults(evidence: Evidence) -> str:
    """The outcome of one batch of NaN gradients for each loop, from the run; empty if a loop has none."""
    run = evidence.valid_run
    if run is None:
        return ""
    outcomes = {
        arm: dict.fromkeys(trial.outcome for trial in run.arms[arm].survivals if trial.fault.startswith("nan"))
        for arm in ARMS
    }
    if not all(outcomes.values()):
        return ""
    return "after one batch of NaN gradients: " + ", ".join(
        f"{arm} {' or '.join(of_arm)}" for arm, of_arm in outcomes.items()
    )
