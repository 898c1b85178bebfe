"""Claims of the annealed temperature."""

from __future__ import annotations

from bench.builtin import FIXED
from bench.experiments.convergence.figures import NO_DIFFERENCE, Comparison, ConvergenceFigures, sign
from bench.records.claims.answer import Answer, Claim
from bench.records.claims.evidence import Evidence
from bench.settings import ARMS

SAID = {1: 2.00, 5: 1.64, 10: 1.23, 15: 0.92, 20: 0.69}
"""By epoch, from 1."""

TEMPERATURE = Claim(
    "temperature", ", ".join(f"{each:.2f}" for each in SAID.values()) + f" at epochs {', '.join(map(str, SAID))}"
)
CONVERGENCE = Claim("convergence", "annealing converges faster")

_DIGITS = 0.005
"""Two digits were said."""

_NO_RECORD = "no record of convergence is given: python -m bench converge"


def temperature(evidence: Evidence) -> Answer:
    """What the loop after says at the beginning of these epochs."""
    record = evidence.convergence
    if record is None:
        return TEMPERATURE.cannot_be_told(_NO_RECORD)
    if record.plan.every is not None:
        return TEMPERATURE.cannot_be_told("the loops were rated every so many batches, and not after each epoch")
    found = ConvergenceFigures.of(record).temperatures.get(ARMS[1], {})
    of_epochs = dict(enumerate(found[batch] for batch in sorted(found)))  # before any batch, and after each epoch
    known = {epoch: of_epochs[epoch - 1] for epoch in SAID if epoch - 1 in of_epochs}
    if not known:
        return TEMPERATURE.cannot_be_told("the loop after says no temperature")
    measured = ", ".join(f"{each:.2f}" for each in known.values()) + f" at epochs {', '.join(map(str, known))}"
    wrong = [str(epoch) for epoch, each in known.items() if abs(each - SAID[epoch]) > _DIGITS]
    if wrong:
        return TEMPERATURE.does_not_hold(
            measured, f"it is another one at epoch{'s' * (len(wrong) > 1)} {', '.join(wrong)}"
        )
    if len(known) < len(SAID):
        return TEMPERATURE.cannot_be_told("the record has fewer epochs", measured)
    return TEMPERATURE.holds(measured, "all are as they were said")


def convergence(evidence: Evidence) -> Answer:
    """By the mean over the course of training, paired by seed, against the same loop without annealing.

    Not by self-BLEU: lines that have nothing in common are no better for that.
    """
    record = evidence.convergence
    if record is None:
        return CONVERGENCE.cannot_be_told(_NO_RECORD)
    figures = ConvergenceFigures.of(record)
    pair = next((each for each in record.plan.pairs if each.reference == FIXED), None)
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


def _mean(found: Comparison) -> str:
    estimate, low, high = found.mean.difference
    return f"{found.metric} {estimate:+.3g} (95%: {low:+.3g} to {high:+.3g})"
