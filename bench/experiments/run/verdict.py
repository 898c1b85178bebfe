"""What a record amounts to: faster, slower, same, inconclusive or invalid, and why."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np

from loop_bench import clusters
from loop_bench.experiments.run.figures import Comparison, Timing
from loop_bench.experiments.run.record import Record
from loop_bench.report.rows import NULL_ARM
from loop_bench.settings import ARMS, NULL
from loop_bench.statistics import FEWEST_PAIRS, Interval
from loop_bench.timing import samples

IDLE = 0.05
"""Processor time of a process, as a share of the time in which others are timed, from which it disturbs them; of a GPU
the share of time in which it computes for nobody."""

RARE_COSTS = 0.05
"""Difference of total times and robust means, as a share, from which rare slow batches are worth a word."""


class Kind(str, enum.Enum):
    """What a verdict can be."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"

    __str__ = str.__str__  # as enum.StrEnum has it, from Python 3.11


@dataclasses.dataclass(frozen=True)
class Verdict:
    """On the loop after, against the one before."""

    kind: Kind
    reason: str  # in words
    doubts: tuple[str, ...] = ()  # what does not overturn it, and should be known
    suspicious: str | None = None  # why the times can hardly be true

    @classmethod
    def of(cls, record: Record, found: Comparison | None = None) -> Verdict:
        """The verdict on a record.

        Args:
            record: of a run.
            found: its figures, if they are at hand.
        """
        found = found or Comparison.of(record)
        why_not = invalid(record)
        if why_not or found.timing is None:
            return cls(Kind.INVALID, "; ".join(why_not))
        kind, reason = _judge(found.timing, record.settings.precision)
        others = (*_retracing(found), *_processes(record), *_disturbances(record.environment))
        doubts = (*_doubts(found.timing), *others)
        return cls(kind, reason, doubts, suspicion(record))


def invalid(record: Record) -> list[str]:
    """Why nothing can be concluded from a record, each in words; empty if it can."""
    if not record.rounds:
        return ["the loops were not timed"]
    if record.problems is None or record.rounds_ended is None:
        return ["cut short: the rounds did not come to an end, or what the loops did in them was not looked at"]
    found = list(record.problems)
    for name, arm in record.arms.items():
        broken = [metric for metric, values in arm.history.items() if not np.all(np.isfinite(values))]
        if broken and not found:
            found.append(f"{name}: not finite in its history: {', '.join(broken)}")
    if record.equivalence and not record.equivalence.equal:
        found.append(f"the loops do not compute the same thing: {record.equivalence.reason}")
    if len(record.rounds) < FEWEST_PAIRS:
        cut = f"cut short: {len(record.rounds)} rounds, and an interval needs {FEWEST_PAIRS}"
        found.append(f"{cut} (raise --max-time)" if record.rounds_ended == "out of time" else cut)
    return found


def _judge(timing: Timing, precision: float) -> tuple[Kind, str]:
    ratio, noise = timing.speed_up, _noise(timing.null)
    known = f"(95% interval {_percent(ratio.low)} to {_percent(ratio.high)})"
    against_itself = f"the loop before differs from itself by up to {noise - 1:.1%} in this run"
    if ratio.low > noise:
        return Kind.FASTER, f"{ratio.estimate:.2f}× as fast (95% interval {ratio.low:.2f} to {ratio.high:.2f})"
    if ratio.high < 1 / noise:
        slower = ratio.reciprocal
        return Kind.SLOWER, f"{slower.estimate:.2f}× as long (95% interval {slower.low:.2f} to {slower.high:.2f})"
    if 1 / (1 + precision) <= ratio.low and ratio.high <= 1 + precision:
        return Kind.SAME, f"no difference of {precision:.1%} or more {known}"
    if ratio.holds(1.0):
        return Kind.INCONCLUSIVE, f"no measurable difference, and none of {precision:.1%} excluded {known}"
    return Kind.INCONCLUSIVE, f"a difference no larger than noise {known}: {against_itself}"


def _noise(null: Interval) -> float:
    """The factor by which the null arm may differ from what it is a copy of."""
    return max(null.high, 1 / null.low if null.low else float("inf"))


def _doubts(timing: Timing) -> list[str]:
    found = []
    if timing.drift.significant:
        found.append(f"the ratio drifted by {timing.drift.change:+.1%} in the course of the run")
    if timing.autocorrelation.significant:
        found.append(
            f"neighbouring rounds resemble each other (rank correlation {timing.autocorrelation.lag_1:.2f}): "
            "the intervals are narrower than they should be"
        )
    if timing.null_differs:
        found.append(
            f"the loop before and a second instance of it differ (95% interval {_percent(timing.null.low)} to "
            f"{_percent(timing.null.high)}): differences of that size are noise"
        )
    rare = timing.speed_up_of_totals / timing.speed_up.estimate
    if abs(rare - 1) > RARE_COSTS:
        found.append(
            f"by total time before / after is {timing.speed_up_of_totals:.3g}, by robust means "
            f"{timing.speed_up.estimate:.3g}: some rounds take much longer than the rest"
        )
    return found


def _retracing(found: Comparison) -> list[str]:
    """Loops that were timed while functions of theirs were traced."""
    doubts = []
    for name, arm in zip(ARMS, (found.before, found.after), strict=True):
        if arm.traced:
            most = arm.traced[0]
            why = f", {most.why[0]}" if most.why else ""
            doubts.append(
                f"{name} still traces functions when it is warm, {arm.traces} times in this run (most often "
                f"{most.function}, {most.file}:{most.line}{why}): its times are those of tracing as well"
            )
    return doubts


def _processes(record: Record) -> list[str]:
    """What makes the times of loops doubtful that live in processes of their own."""
    found = [
        f"{NULL_ARM if name == NULL else name} uses {share:.0%} of a core while others are timed: what goes on in its "
        "process when nothing is asked of it slows them down"
        for name, share in record.idle.items()
        if share > IDLE
    ]
    if record.idle_gpu is not None and record.idle_gpu > IDLE:
        found.append(f"the GPU was busy {record.idle_gpu:.0%} of the time while nothing was asked of either loop")
    processes = samples.processes(record.rounds)
    if record.settings.homes and processes < clusters.FEWEST:
        few, known = (f"{processes} processes", "hardly") if processes > 1 else ("one process", "not")
        found.append(f"{few} of each loop: by how much one differs from the next is {known} known (--processes)")
    return found


def _disturbances(environment: dict[str, Any]) -> list[str]:
    """What NVML told of the GPUs after the last round that makes absolute times doubtful."""
    found = []
    for gpu in environment.get("state", {}).get("gpus", []):
        if gpu["throttled_by"]:
            clocks = f"{gpu['sm_mhz']} of {gpu['max_sm_mhz']} MHz"
            found.append(f"{gpu['name']} was throttled: {', '.join(gpu['throttled_by'])} ({clocks})")
        if gpu["other_processes"]:
            found.append(f"{gpu['other_processes']} other processes used {gpu['name']}")
    return found


def suspicion(record: Record) -> str | None:
    """Why the times can hardly be true: a batch took less than touching the weights that it moves."""
    for name in ARMS:
        least = record.arms[name].touch_seconds
        ms = float(np.median(samples.milliseconds(record.rounds, name)))
        if least is not None and ms < 1e3 * least:
            return (
                f"{name} takes {ms:.3g} ms for a batch, and this device {1e3 * least:.3g} ms only to touch each of the "
                "weights that move in it once: what was timed can hardly be training"
            )
    return None


def _percent(ratio: float) -> str:
    """How far a ratio is from 1: `-1.2%`."""
    return f"{ratio - 1:+.1%}"
