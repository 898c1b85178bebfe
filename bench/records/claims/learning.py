"""Claims of how the loops learn: the annealed temperature, convergence, and crashes."""

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
"""The temperatures that were said, by epoch from 1."""

LEAST_CRASHES = 1.0
"""The lower end of the 1–2 crashes in 100 epochs that were said."""


def _at_epochs(temperatures: Mapping[int, float]) -> str:
    said = ", ".join(f"{each:.2f}" for each in temperatures.values())
    return f"{said} at epochs {', '.join(map(str, temperatures))}"


TEMPERATURE = Claim("temperature", _at_epochs(SAID_TEMPERATURES))
CONVERGENCE = Claim("convergence", "annealing converges faster")
CRASHES = Claim("NaN crashes", "1–2 in 100 epochs before, none after")

_DIGITS = 0.005
"""How far a temperature may be from the one that was said: two digits were."""

_NO_RECORD = "no record of convergence is given: loop-bench converge"


def temperature(evidence: Evidence) -> Answer:
    """Temperatures that the loop after reports at the beginning of these epochs."""
    record = evidence.convergence
    if record is None:
        return TEMPERATURE.cannot_be_told(_NO_RECORD)
    if record.plan.every is not None:
        return TEMPERATURE.cannot_be_told("the loops were rated every so many batches, and not after each epoch")
    by_batch = ConvergenceFigures.of(record).temperatures.get(ARMS[1], {})
    of_epochs = dict(enumerate(by_batch[batch] for batch in sorted(by_batch)))  # before any batch, after each epoch
    known = {epoch: of_epochs[epoch - 1] for epoch in SAID_TEMPERATURES if epoch - 1 in of_epochs}
    if not known:
        return TEMPERATURE.cannot_be_told("the loop after says no temperature")
    measured = _at_epochs(known)
    wrong = [str(epoch) for epoch, each in known.items() if abs(each - SAID_TEMPERATURES[epoch]) > _DIGITS]
    if wrong:
        return TEMPERATURE.does_not_hold(
            measured, f"it is another one at epoch{'s' * (len(wrong) > 1)} {', '.join(wrong)}"
        )
    if len(known) < len(SAID_TEMPERATURES):
        return TEMPERATURE.cannot_be_told("the record has fewer epochs", measured)
    return TEMPERATURE.holds(measured, "all are as they were said")


def convergence(evidence: Evidence) -> Answer:
    """Quality with annealing against the same loop without, as means over the course of training, paired by seed.

    Not by self-BLEU: lines that have nothing in common are no better for that.
    """
    record = evidence.convergence
    if record is None:
        return CONVERGENCE.cannot_be_told(_NO_RECORD)
    figures = ConvergenceFigures.of(record)
    pair = next((each for each in record.plan.pairs if each.reference == evidence.fixed_temperature), None)
    judged = [each for each in figures.comparisons if each.pair == pair and _decides(each.metric)]
    if pair is None or not judged:
        return CONVERGENCE.cannot_be_told("there are no two whole runs of one seed, with annealing and without")
    if not figures.alike:
        return CONVERGENCE.cannot_be_told("not all loops began with the same weights")
    what = f"{pair.changed} less {pair.reference}, mean over training, {judged[0].seeds} seeds"
    measured = f"{'; '.join(map(_mean, judged))} ({what})"
    better, worse = ([each.metric for each in judged if each.mean.verdict == word] for word in ("better", "worse"))
    if worse:
        also = f", and better in {', '.join(better)}" if better else ""
        return CONVERGENCE.does_not_hold(measured, f"it is worse in {', '.join(worse)}{also}")
    if died := figures.flaws.get(pair.changed):
        return CONVERGENCE.cannot_be_told(f"{len(died)} of its runs did not come to their end", measured)
    if better:
        return CONVERGENCE.holds(measured, f"it is better in {', '.join(better)}, and worse in none")
    return CONVERGENCE.cannot_be_told(f"{NO_DIFFERENCE} over {judged[0].seeds} seeds", measured)


def _decides(metric: str) -> bool:
    return bool(sign(metric)) and not metric.lower().startswith("self-bleu")


def _mean(compared: MetricComparison) -> str:
    estimate, low, high = compared.mean.difference
    return f"{compared.metric} {estimate:+.3g} (95%: {low:+.3g} to {high:+.3g})"


def crashes(evidence: Evidence) -> Answer:
    """Crashes of loops that train without a fault; what a fault does to them is said, and is another question."""
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
    measured = "; ".join(f"{arm}: {deaths.told}" for arm, deaths in rates.items())
    if before.high < LEAST_CRASHES:
        return CRASHES.does_not_hold(measured, f"the loop before dies less often by itself{_but(evidence)}")
    if after.estimate > 0:
        return CRASHES.does_not_hold(measured, "the loop after dies, too")
    if before.low >= LEAST_CRASHES and after.high < LEAST_CRASHES:
        return CRASHES.holds(measured, "the loop before dies so often, and the loop after never did")
    return CRASHES.cannot_be_told("too few epochs to tell such rates apart", measured)


@dataclasses.dataclass(frozen=True)
class Deaths:
    """How often one loop died in all its long runs."""

    count: int
    epochs: float  # until death, or to the end

    @classmethod
    def of(cls, runs: Sequence[Undisturbed], batches_per_epoch: float) -> Self:
        """The deaths in some runs without a fault."""
        lived = sum(run.batches if run.first_bad is None else run.first_bad for run in runs)
        return cls(sum(run.died for run in runs), lived / batches_per_epoch)

    @property
    def in_hundred_epochs(self) -> Interval:
        """A Poisson rate with its exact 95% interval."""
        return Interval(*(100 * value / self.epochs for value in statistics.poisson_interval(self.count)))

    @property
    def told(self) -> str:
        """Count, epochs and rate in words."""
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
        f"{arm} {' or '.join(each)}" for arm, each in outcomes.items()
    )
