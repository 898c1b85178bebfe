"""Claims of the annealed temperature."""

from __future__ import annotations

from bench.claims.answer import Answer, Claim
from bench.claims.evidence import Evidence
from bench.convergence.figures import NO_DIFFERENCE, TOO_FEW, Comparison, ConvergenceFigures, sign
from bench.record import ARMS

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
    """By the mean over the course of training, paired by seed, in every metric of which it is known what is better."""
    record = evidence.convergence
    if record is None:
        return CONVERGENCE.cannot_be_told(_NO_RECORD)
    found = [each for each in ConvergenceFigures.of(record).comparisons if each.pair == record.plan.pairs[0]]
    judged = [each for each in found if sign(each.metric)]
    if not judged:
        return CONVERGENCE.cannot_be_told("no two runs of one seed came to their end")
    measured = (
        "; ".join(map(_mean, judged))
        + f" ({judged[0].pair.changed} less {judged[0].pair.reference}, mean over training)"
    )
    better, worse, open_ = (
        [each.metric for each in judged if each.mean.verdict in words]
        for words in (("better",), ("worse",), (NO_DIFFERENCE, TOO_FEW))
    )
    if worse:
        also = f", and better in {', '.join(better)}" if better else ""
        return CONVERGENCE.does_not_hold(measured, f"it is worse in {', '.join(worse)}{also}")
    if better:
        also = f", and in {', '.join(open_)} {NO_DIFFERENCE}" if open_ else ""
        return CONVERGENCE.holds(measured, f"it is better in {', '.join(better)}{also}")
    return CONVERGENCE.cannot_be_told(f"{NO_DIFFERENCE} over {judged[0].seeds} seeds", measured)


def _mean(found: Comparison) -> str:
    estimate, low, high = found.mean.difference
    return f"{found.metric} {estimate:+.3g} (95%: {low:+.3g} to {high:+.3g})"
