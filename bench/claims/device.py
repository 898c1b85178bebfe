"""Claims of what a loop makes of the machine."""

from __future__ import annotations

from bench.claims.answer import Answer, Claim
from bench.claims.evidence import Evidence
from bench.record import ARMS
from bench.telemetry.figures import DeviceFigures, Utilisation

WANTED = {"before": (0.40, 0.60), "after": (0.80, 0.95)}
"""Shares of the time."""

UTILISATION = Claim("GPU utilisation", "40–60% before, 80–95% after")
MEMORY = Claim("memory", "the loop after takes no more (no figure was given)")

NOISE = 0.05
"""As a share; each loop's peak is a single sample, and smaller differences are left alone."""


def utilisation(evidence: Evidence) -> Answer:
    """As NVML has it, which is where such figures come from: the share of its window with any kernel running."""
    if evidence.run and not evidence.has_gpu:
        return UTILISATION.cannot_be_told("there was no GPU")
    devices = {arm: found.device if found else None for arm, found in _figures(evidence).items()}
    means = {arm: found.utilisation.mean for arm, found in devices.items() if found and found.utilisation}
    if len(means) < len(ARMS):
        return UTILISATION.cannot_be_told(_why_not_watched(evidence))
    measured = ", ".join(f"{mean:.0%} {arm}" for arm, mean in means.items())
    wrong = [arm for arm in ARMS if not WANTED[arm][0] <= means[arm] <= WANTED[arm][1]]
    if not wrong:
        return UTILISATION.holds(measured, "both means lie within what was said")
    return UTILISATION.does_not_hold(measured, f"the mean {' and '.join(wrong)} lies outside of what was said")


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
    change = after / before - 1
    if abs(change) < NOISE:
        return MEMORY.cannot_be_told(f"one sample of each, and they differ by less than {NOISE:.0%}", measured)
    if change < 0:
        return MEMORY.holds(measured, f"{-change:.0%} less, once")
    return MEMORY.does_not_hold(measured, f"{change:.0%} more, once")


def _figures(evidence: Evidence) -> dict[str, Utilisation | None]:
    arms = evidence.run.arms if evidence.run else {}
    watched = {name: arm.telemetry for name, arm in arms.items()}
    return {arm: Utilisation.of(found) if (found := watched.get(arm)) else None for arm in ARMS}


def _why_not_watched(evidence: Evidence) -> str:
    return evidence.why_no_comparison if evidence.run is None else "the loops were not both watched for it in this run"
