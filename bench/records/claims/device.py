"""Claims of what a loop makes of the machine."""

from __future__ import annotations

from bench.experiments.telemetry.figures import DeviceFigures, Utilisation
from bench.records.claims.answer import Answer, Claim
from bench.records.claims.evidence import Evidence
from bench.settings import ARMS

WANTED = {"before": (0.40, 0.60), "after": (0.80, 0.95)}
"""Shares of the time."""

UTILISATION = Claim("GPU utilisation", "40–60% before, 80–95% after")
MEMORY = Claim("memory", "the loop after takes no more (no figure was given)")

NOISE = 0.05
"""As a share; each loop's peak is a single sample, and smaller differences are left alone."""


def utilisation(evidence: Evidence) -> Answer:
    """As NVML has it, which is where such figures come from: the share of its window with any kernel running."""
    if evidence.valid_run and not evidence.has_gpu:
        return UTILISATION.cannot_be_told("there was no GPU")
    devices = {arm: found.device if found else None for arm, found in _figures(evidence).items()}
    means = {arm: found.utilisation.mean for arm, found in devices.items() if found and found.utilisation}
    if len(means) < len(ARMS):
        return UTILISATION.cannot_be_told(_why_not_watched(evidence))
    measured = ", ".join(f"{mean:.0%} {arm}" for arm, mean in means.items())
    off = {arm: _off(means[arm], *WANTED[arm]) for arm in ARMS}
    if not any(off.values()):
        return UTILISATION.holds(measured, "both means lie within what was said")
    if max(off.values()) < NOISE:
        return UTILISATION.cannot_be_told(
            f"a mean lies outside, and by less than {NOISE:.0%}: one stretch of each", measured
        )
    wrong = " and ".join(arm for arm in ARMS if off[arm])
    return UTILISATION.does_not_hold(measured, f"the mean {wrong} lies outside of what was said")


def _off(value: float, low: float, high: float) -> float:
    """How far a value lies outside of a range."""
    return max(low - value, value - high, 0.0)


def memory(evidence: Evidence) -> Answer:
    """Of the device where there is one, else of the process."""
    figures = _figures(evidence)
    before, after = (figures[arm] for arm in ARMS)
    if before is None or after is None:
        return MEMORY.cannot_be_told(_why_not_watched(evidence))
    if before.device and after.device:
        return _compared(before.device, after.device)
    return _judged(before.peak_resident, after.peak_resident, "resident in the process")


def _compared(before: DeviceFigures, after: DeviceFigures) -> Answer:
    return _judged(before.tf_peak, after.tf_peak, "handed out by TensorFlow's allocator")


def _judged(before: float, after: float, of: str) -> Answer:
    measured = f"at most {before:.0f} MiB before and {after:.0f} MiB after {of}"
    if not before:
        return MEMORY.cannot_be_told("the loop before used no memory of that kind", measured)
    change = after / before - 1
    if abs(change) < NOISE:
        return MEMORY.cannot_be_told(f"one sample of each, and they differ by less than {NOISE:.0%}", measured)
    if change < 0:
        return MEMORY.holds(measured, f"{-change:.0%} less, once")
    return MEMORY.does_not_hold(measured, f"{change:.0%} more, once")


def _figures(evidence: Evidence) -> dict[str, Utilisation | None]:
    watched = {arm: found.telemetry for arm, found in evidence.valid_run.arms.items()} if evidence.valid_run else {}
    return {arm: Utilisation.of(found) if (found := watched.get(arm)) else None for arm in ARMS}


def _why_not_watched(evidence: Evidence) -> str:
    if evidence.valid_run is None:
        return evidence.why_no_run
    arms = evidence.valid_run.arms
    died = [
        f"{arm} died while it was watched: {found.telemetry.died}"
        for arm, found in arms.items()
        if found.telemetry and found.telemetry.died
    ]
    return "; ".join(died) or "the loops were not both watched for it in this run"
