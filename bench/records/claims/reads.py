"""Claims about the reads of the device by the host: calls, waits, transfers, visibility of metrics."""

from __future__ import annotations

import math
from collections.abc import Callable

from loop_bench.experiments.syncs.record import HostSyncs
from loop_bench.records.claims.evidence import Answer, Claim, Evidence
from loop_bench.settings import ARMS

BEFORE, AFTER_IN_TEN = 8, 4
"""Claimed host syncs: of the loop before in one batch, and of the loop after in ten batches."""

TIMES = 10 * BEFORE / AFTER_IN_TEN
"""Claimed ratio of host syncs per batch, before / after."""

_SAID = f"{BEFORE} a batch before, {AFTER_IN_TEN} in 10 batches after: {TIMES:.0f}×"

CALLS = Claim("host syncs, as calls", _SAID)
WAITS = Claim("host syncs, as waits", _SAID)
TRANSFERS = Claim("transfers to the host", f"as many fewer as syncs: {TIMES:.0f}×")
VISIBILITY = Claim("visibility", "the metrics of every batch can still be seen (no figure was given)")

_ROUNDING = 0.05
"""Relative tolerance of a count: the claim was rounded to a whole number."""


def calls(evidence: Evidence) -> Answer:
    """Tests the claim about reads of tensors by Python, including those that did not wait."""
    return _counted(CALLS, evidence, lambda syncs: sum(site.reads for site in syncs.sites))


def waits(evidence: Evidence) -> Answer:
    """Tests the claim about reads that waited because the value was not ready."""
    if evidence.valid_run and not evidence.has_gpu:
        return WAITS.cannot_be_told("on a CPU every value is ready when it is read: nothing waits")
    return _counted(WAITS, evidence, lambda syncs: sum(site.waits for site in syncs.sites))


def transfers(evidence: Evidence) -> Answer:
    """Tests the claim about copies from the device, counted in its trace; on a CPU only the bytes read are known."""
    both = _both(evidence)
    if both is None:
        return TRANSFERS.cannot_be_told(_why_not_counted(evidence))
    before, after = both
    read = f"bytes read a batch: {before.nbytes_per_batch:.3g} and {after.nbytes_per_batch:.3g}"
    if before.copies is None or after.copies is None:
        return TRANSFERS.cannot_be_told("on a CPU nothing is copied", read)
    uncopied = before.copies.uncopied + after.copies.uncopied
    if uncopied or not before.copies.matched:
        return TRANSFERS.cannot_be_told(f"the trace is not whole: {uncopied} reads of the device without a copy", read)
    rates = [(syncs.copies.matched + syncs.copies.unexplained) / syncs.batches for syncs in both if syncs.copies]
    measured = f"{rates[0]:.3g} and {rates[1]:.3g} copies a batch; {read}"
    fewer = rates[0] / rates[1] if rates[1] else math.inf
    if abs(fewer - TIMES) <= _ROUNDING * TIMES:
        return TRANSFERS.holds(measured, f"{fewer:.3g}× fewer copies")
    return TRANSFERS.does_not_hold(
        measured, f"{fewer:.3g}× fewer copies: {'more' if fewer > TIMES else 'less'} than said"
    )


def visibility(evidence: Evidence) -> Answer:
    """Tests the claim about visibility: which metrics each loop returns, for how many batches, and how late."""
    run = evidence.valid_run
    if run is None:
        return VISIBILITY.cannot_be_told(evidence.why_no_run)
    if not all(run.arms[arm].history for arm in ARMS):
        return VISIBILITY.cannot_be_told("the record lacks the metrics of a loop")
    before, after = ({name: len(values) for name, values in run.arms[arm].history.items()} for arm in ARMS)
    lost = [name for name, count in before.items() if after.get(name, 0) < count]
    kept = len(before) - len(lost)
    measured = f"before: {', '.join(before)} of {max(before.values())} batches; after: {kept} of these {len(before)}"
    if lost:
        return VISIBILITY.does_not_hold(measured, f"missing, or not of every batch: {', '.join(lost)}")
    return VISIBILITY.holds(measured, f"they are all there{_later(evidence)}")


def _later(evidence: Evidence) -> str:
    both = _both(evidence)
    rates = [syncs.reads_per_batch for syncs in both] if both else []
    if not rates or not all(rates) or rates[1] >= 1:
        return ""
    return f", but later: the loop after reads once in {1 / rates[1]:.0f} batches"


def _counted(claim: Claim, evidence: Evidence, count: Callable[[HostSyncs], int]) -> Answer:
    both = _both(evidence)
    if both is None:
        return claim.cannot_be_told(_why_not_counted(evidence))
    before, after = (count(syncs) / syncs.batches for syncs in both)
    times = f": {before / after:.3g}× fewer" if after else ""
    measured = f"{before:.3g} a batch before, {10 * after:.3g} in 10 batches after{times}"
    wrong = [
        f"{measured_rate:.3g} {unit}, and not {claimed}"
        for measured_rate, claimed, unit in (
            (before, BEFORE, "a batch before"),
            (10 * after, AFTER_IN_TEN, "in 10 batches after"),
        )
        if abs(measured_rate - claimed) > _ROUNDING * claimed
    ]
    if not wrong:
        return claim.holds(measured, "both counts are as they were said")
    more = before > TIMES * after
    return claim.does_not_hold(
        measured, f"{' and '.join(wrong)}; the saving is {'larger' if more else 'smaller'} than was said"
    )


def _both(evidence: Evidence) -> tuple[HostSyncs, HostSyncs] | None:
    run = evidence.valid_run
    if run is None:
        return None
    before, after = (run.arms[arm].host_syncs for arm in ARMS)
    return (before, after) if before and after else None


def _why_not_counted(evidence: Evidence) -> str:
    return evidence.why_no_run or "host syncs were not counted in this run"
