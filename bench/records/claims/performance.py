"""Claims about speed and resource usage: time a batch, time of a training, GPU utilisation, memory."""

from __future__ import annotations

from loop_bench.experiments.run.figures import Comparison
from loop_bench.experiments.telemetry.figures import Utilisation
from loop_bench.records.claims.evidence import Answer, Claim, Evidence, times
from loop_bench.settings import ARMS
from loop_bench.statistics import Interval

SPEED_UP = (3.0, 5.0)
"""Claimed range of the speed-up, time before / time after."""

EPOCHS = 20
"""Length of the training whose time is computed."""

SHARES = {"before": (0.40, 0.60), "after": (0.80, 0.95)}
"""Claimed ranges of GPU utilisation, as shares of the time."""

NOISE = 0.05
"""Relative difference below which nothing is concluded: peak memory and mean utilisation are single samples."""

BATCH = Claim("time a batch", "3–5× as fast in ms/batch")
TRAINING = Claim(f"time of {EPOCHS} epochs", "3–5×, as in ms/batch (no figure of its own was given)")
UTILISATION = Claim("GPU utilisation", "40–60% before, 80–95% after")
MEMORY = Claim("memory", "the loop after takes no more (no figure was given)")


def batch_time(evidence: Evidence) -> Answer:
    """Tests the claimed speed-up per batch by the confidence interval of the ratio."""
    figures = evidence.comparison
    if figures is None:
        return BATCH.cannot_be_told(evidence.why_no_run)
    if figures.timing is None:
        return BATCH.cannot_be_told("nothing was timed")
    measured = f"{times(figures.timing.speed_up)}; the loop before against itself {times(figures.timing.null)}"
    return BATCH.within(SPEED_UP, figures.timing.speed_up, measured)


def training_time(evidence: Evidence) -> Answer:
    """Tests the claimed speed-up of a whole training, including building, tracing and compiling."""
    figures = evidence.comparison
    if figures is None:
        return TRAINING.cannot_be_told(evidence.why_no_run)
    totals = _seconds(figures)
    if totals is None:
        return TRAINING.cannot_be_told("time a batch, time to first batch or batches an epoch are not in the record")
    before, after = totals
    ratio = Interval(*(before / seconds for seconds in after))
    measured = (
        f"{before:.0f} s before, {after[0]:.0f} s after: {times(ratio)}, computed from ms/batch and the median time to "
        "the first batch, whose own spread is not in the interval"
    )
    return TRAINING.within(SPEED_UP, ratio, measured)


def _seconds(figures: Comparison) -> tuple[float, list[float]] | None:
    """Seconds of EPOCHS epochs: before, and after for the speed-up's estimate and limits; None: not measured."""
    before, after, timing = figures.before, figures.after, figures.timing
    if not timing or not before.ms_per_batch or not before.start_seconds or not after.start_seconds:
        return None
    if not before.batches_per_epoch or not timing.speed_up.low:
        return None
    rest = (EPOCHS * before.batches_per_epoch - 1) * before.ms_per_batch.median / 1e3
    return before.start_seconds.median + rest, [after.start_seconds.median + rest / ratio for ratio in timing.speed_up]


def utilisation(evidence: Evidence) -> Answer:
    """Tests the claimed GPU utilisation as NVML measures it: the share of each window in which a kernel runs."""
    if evidence.valid_run and not evidence.has_gpu:
        return UTILISATION.cannot_be_told("there was no GPU")
    devices = {arm: figures.device if figures else None for arm, figures in _figures(evidence).items()}
    means = {arm: device.utilisation.mean for arm, device in devices.items() if device and device.utilisation}
    if len(means) < len(ARMS):
        return UTILISATION.cannot_be_told(_why_no_telemetry(evidence))
    measured = ", ".join(f"{mean:.0%} {arm}" for arm, mean in means.items())
    off = {arm: _off(means[arm], *SHARES[arm]) for arm in ARMS}
    if not any(off.values()):
        return UTILISATION.holds(measured, "both means lie within what was said")
    if max(off.values()) < NOISE:
        return UTILISATION.cannot_be_told(
            f"a mean lies outside by less than {NOISE:.0%}, and each is a single sample", measured
        )
    wrong = " and ".join(arm for arm in ARMS if off[arm])
    return UTILISATION.does_not_hold(measured, f"the mean {wrong} lies outside the claimed range")


def _off(value: float, low: float, high: float) -> float:
    """The distance of a value from a range; 0 inside."""
    return max(low - value, value - high, 0.0)


def memory(evidence: Evidence) -> Answer:
    """Tests the claim about peak memory: of the GPU if there is one, otherwise of the process."""
    figures = _figures(evidence)
    before, after = (figures[arm] for arm in ARMS)
    if before is None or after is None:
        return MEMORY.cannot_be_told(_why_no_telemetry(evidence))
    if before.device and after.device:
        return _less_memory(before.device.tf_peak, after.device.tf_peak, "handed out by TensorFlow's allocator")
    return _less_memory(before.peak_resident, after.peak_resident, "resident in the process")


def _less_memory(before: float, after: float, kind: str) -> Answer:
    measured = f"at most {before:.0f} MiB before and {after:.0f} MiB after {kind}"
    if not before:
        return MEMORY.cannot_be_told("the loop before used no memory of that kind", measured)
    change = after / before - 1
    if abs(change) < NOISE:
        return MEMORY.cannot_be_told(f"one sample of each, and they differ by less than {NOISE:.0%}", measured)
    if change < 0:
        return MEMORY.holds(measured, f"{-change:.0%} less, once")
    return MEMORY.does_not_hold(measured, f"{change:.0%} more, once")


def _figures(evidence: Evidence) -> dict[str, Utilisation | None]:
    run = evidence.valid_run
    telemetry = {arm: run.arms[arm].telemetry if run else None for arm in ARMS}
    return {arm: Utilisation.of(record) if record else None for arm, record in telemetry.items()}


def _why_no_telemetry(evidence: Evidence) -> str:
    if evidence.valid_run is None:
        return evidence.why_no_run
    crashed = [
        f"{arm} crashed during the telemetry run: {measured.telemetry.died}"
        for arm, measured in evidence.valid_run.arms.items()
        if measured.telemetry and measured.telemetry.died
    ]
    return "; ".join(crashed) or "the run has no such telemetry of both loops"
