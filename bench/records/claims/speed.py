"""Claims of time."""

from __future__ import annotations

from bench.experiments.run.figures import Comparison
from bench.records.claims.answer import Answer, Claim, times
from bench.records.claims.evidence import Evidence
from bench.statistics import Interval

WANTED = (3.0, 5.0)
"""Time before / time after."""

EPOCHS = 20

BATCH = Claim("time a batch", "3–5× as fast in ms/batch")
TRAINING = Claim(f"time of {EPOCHS} epochs", "3–5×, as in ms/batch (no figure of its own was given)")


def batch(evidence: Evidence) -> Answer:
    """By the interval of the ratio."""
    found = evidence.comparison
    if found is None:
        return BATCH.cannot_be_told(evidence.why_no_run)
    if found.timing is None:
        return BATCH.cannot_be_told("nothing was timed")
    measured = f"{times(found.timing.speed_up)}; the loop before against itself {times(found.timing.null)}"
    return BATCH.within(WANTED, found.timing.speed_up, measured)


def training(evidence: Evidence) -> Answer:
    """From nothing to the end of the last epoch: building, tracing and compiling are in it."""
    found = evidence.comparison
    if found is None:
        return TRAINING.cannot_be_told(evidence.why_no_run)
    totals = _seconds(found)
    if totals is None:
        return TRAINING.cannot_be_told("time a batch, time to first batch or batches an epoch are not in the record")
    before, after = totals
    ratio = Interval(*(before / each for each in after))
    measured = (
        f"{before:.0f} s before, {after[0]:.0f} s after: {times(ratio)}, computed from ms/batch and the median time to "
        "the first batch, whose own spread is not in the interval"
    )
    return TRAINING.within(WANTED, ratio, measured)


def _seconds(found: Comparison) -> tuple[float, list[float]] | None:
    """Of all epochs: before, and after by the estimate, lower and upper limit of the speed-up; None if not known."""
    before, after, timing = found.before, found.after, found.timing
    if not timing or not before.ms_per_batch or not before.start_seconds or not after.start_seconds:
        return None
    if not before.batches_per_epoch or not timing.speed_up.low:
        return None
    rest = (EPOCHS * before.batches_per_epoch - 1) * before.ms_per_batch.median / 1e3
    return before.start_seconds.median + rest, [after.start_seconds.median + rest / each for each in timing.speed_up]
