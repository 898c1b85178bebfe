"""The verdict on a run: faster, slower, same, inconclusive or invalid, with reason and doubts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from loop_bench import clusters
from loop_bench.enums import StrEnum
from loop_bench.experiments.run.figures import Comparison, Timing
from loop_bench.experiments.run.record import Record
from loop_bench.report.rows import NULL_ARM
from loop_bench.report.texts import counted
from loop_bench.settings import ARMS, NULL
from loop_bench.statistics import FEWEST_PAIRS, Interval
from loop_bench.timing import samples

IDLE = 0.05
"""Load from which a doubt is raised: cores that a process uses during others' turns; of a GPU, its busy share of the
time in which no loop runs."""

RARE_COSTS = 0.05
"""Relative difference of total times and robust means from which a doubt about rare slow rounds is raised."""


class Kind(StrEnum):
    """The kinds of verdict."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The verdict on the loop after, compared with the loop before."""

    kind: Kind
    reason: str  # in words
    doubts: tuple[str, ...] = ()  # limits of the measurement that do not overturn the verdict
    suspicious: str | None = None  # why the times are implausible

    @classmethod
    def of(cls, record: Record, found: Comparison | None = None) -> Verdict:
        """The verdict on a record.

        Args:
            record: the record of a run.
            found: its figures; None: they are computed.
        """
        figures = found or Comparison.of(record)
        reasons = invalid(record)
        if reasons or figures.timing is None:
            return cls(Kind.INVALID, "; ".join(reasons))
        kind, reason = _judge(figures.timing, record.settings.precision)
        doubts = (
            *_doubts(figures.timing),
            *_retracing(figures),
            *_processes(record),
            *_disturbances(record.environment),
        )
        return cls(kind, reason, doubts, suspicion(record))


def invalid(record: Record) -> list[str]:
    """The reasons why nothing can be concluded from a record, each in words; empty: the record is valid."""
    if not record.rounds:
        return ["the loops were not timed"]
    if record.problems is None or record.rounds_ended is None:
        return ["cut short: the rounds did not complete, or the work of the loops in them was not checked"]
    reasons = list(record.problems)
    for name, arm in record.arms.items():
        broken = [metric for metric, values in arm.history.items() if not np.all(np.isfinite(values))]
        if broken and not reasons:
            reasons.append(f"{name}: metrics that are not finite: {', '.join(broken)}")
    if record.equivalence and not record.equivalence.equal:
        reasons.append(f"the loops do not compute the same thing: {record.equivalence.reason}")
    if len(record.rounds) < FEWEST_PAIRS:
        cut = f"cut short: {counted(len(record.rounds), 'round')}, and an interval needs {FEWEST_PAIRS}"
        reasons.append(f"{cut} (raise --max-time)" if record.rounds_ended == "out of time" else cut)
    return reasons


def _judge(timing: Timing, precision: float) -> tuple[Kind, str]:
    ratio, noise = timing.speed_up, _noise(timing.null)
    interval = f"(95% interval {_percent(ratio.low)} to {_percent(ratio.high)})"
    against_itself = f"the loop before differs from itself by up to {noise - 1:.1%} in this run"
    if ratio.low > noise:
        return Kind.FASTER, f"{ratio.estimate:.2f}× as fast (95% interval {ratio.low:.2f} to {ratio.high:.2f})"
    if ratio.high < 1 / noise:
        slower = ratio.reciprocal
        return Kind.SLOWER, f"{slower.estimate:.2f}× as long (95% interval {slower.low:.2f} to {slower.high:.2f})"
    if 1 / (1 + precision) <= ratio.low and ratio.high <= 1 + precision:
        return Kind.SAME, f"no difference of {precision:.1%} or more {interval}"
    if ratio.holds(1.0):
        return Kind.INCONCLUSIVE, f"neither a difference nor its absence within {precision:.1%} is shown {interval}"
    return Kind.INCONCLUSIVE, f"a difference no larger than noise {interval}: {against_itself}"


def _noise(null: Interval) -> float:
    """The factor by which two instances of the loop before may differ, from the null arm's interval."""
    return max(null.high, 1 / null.low if null.low else float("inf"))


def _doubts(timing: Timing) -> list[str]:
    doubts = []
    if timing.drift.significant:
        doubts.append(f"the ratio drifted by {timing.drift.change:+.1%} in the course of the run")
    if timing.autocorrelation.significant:
        doubts.append(
            f"neighbouring rounds resemble each other (rank correlation {timing.autocorrelation.lag_1:.2f}): "
            "the intervals are narrower than they should be"
        )
    if timing.null_differs:
        doubts.append(
            f"the loop before and a second instance of it differ (95% interval {_percent(timing.null.low)} to "
            f"{_percent(timing.null.high)}): differences of that size are noise"
        )
    rare = timing.speed_up_of_totals / timing.speed_up.estimate
    if abs(rare - 1) > RARE_COSTS:
        doubts.append(
            f"by total time before / after is {timing.speed_up_of_totals:.3g}, by robust means "
            f"{timing.speed_up.estimate:.3g}: some rounds take much longer than the rest"
        )
    return doubts


def _retracing(figures: Comparison) -> list[str]:
    """Doubts about loops that retraced functions in the timed rounds."""
    doubts = []
    for name, arm in zip(ARMS, (figures.before, figures.after), strict=True):
        if arm.traced:
            most = arm.traced[0]
            why = f", {most.why[0]}" if most.why else ""
            doubts.append(
                f"{name}: {counted(arm.traces or 0, 'retrace')} after warm-up (most often {most.function}, "
                f"{most.file}:{most.line}{why}): its times include tracing"
            )
    return doubts


def _processes(record: Record) -> list[str]:
    """Doubts about the times of loops in processes of their own."""
    doubts = [
        f"{NULL_ARM if name == NULL else name} uses {share:.0%} of a core while others are timed: background work in "
        "its process slows them down"
        for name, share in record.idle.items()
        if share > IDLE
    ]
    if record.idle_gpu is not None and record.idle_gpu > IDLE:
        doubts.append(f"the GPU was busy {record.idle_gpu:.0%} of the time while neither loop was running")
    processes = samples.processes(record.rounds)
    if record.settings.homes and processes < clusters.FEWEST:
        few, known = (f"{processes} processes", "hardly known") if processes > 1 else ("one process", "unknown")
        doubts.append(f"{few} of each loop: the variation between processes is {known} (--processes)")
    return doubts


def _disturbances(environment: dict[str, Any]) -> list[str]:
    """Doubts from NVML's state of the GPUs after the last round: throttling and other processes."""
    doubts = []
    for gpu in environment.get("state", {}).get("gpus", []):
        if gpu["throttled_by"]:
            clocks = f"{gpu['sm_mhz']} of {gpu['max_sm_mhz']} MHz"
            doubts.append(f"{gpu['name']} was throttled: {', '.join(gpu['throttled_by'])} ({clocks})")
        if gpu["other_processes"]:
            doubts.append(f"{gpu['other_processes']} other processes used {gpu['name']}")
    return doubts


def suspicion(record: Record) -> str | None:
    """Why the times are implausible (a batch took less time than updating its weights once); None: plausible."""
    for name in ARMS:
        least = record.arms[name].touch_seconds
        ms = float(np.median(samples.milliseconds(record.rounds, name)))
        if least is not None and ms < 1e3 * least:
            return (
                f"{name} takes {ms:.3g} ms for a batch, but this device needs {1e3 * least:.3g} ms only to update the "
                "weights once: what was timed can hardly be training"
            )
    return None


def _percent(ratio: float) -> str:
    """A ratio's difference from 1, as `-1.2%`."""
    return f"{ratio - 1:+.1%}"
