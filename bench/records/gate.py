"""Whether a record may pass: for a job that runs on every change and must neither cry wolf nor sleep.

A slowdown is judged as a non-inferiority trial judges a drug (Wellek, Testing Statistical Hypotheses of
Equivalence and Noninferiority, 2010): a record passes when its interval shows that the slowdown is less than
the limit, and fails when the interval shows that there is one and cannot show that it is less. So noise is
neither a failure nor a pass: a run too short to tell is inconclusive.
"""

from __future__ import annotations

import dataclasses
import enum
import math

from typing_extensions import Self

from loop_bench import clusters
from loop_bench.experiments.run.figures import traced_when_warm
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.verdict import invalid, suspicion
from loop_bench.records.change import differences, differing_loops
from loop_bench.statistics import Interval, total_ratio_interval, unpaired_ratio_interval
from loop_bench.timing import samples

CONFIDENCE = 0.999
"""Confidence of the gate's intervals. A gate is asked on every change: of a hundred answers at 95%, a few would be
wrong by chance. At this one and with the default precision, what is called a slowdown begins halfway to the default
limit."""

MAX_SLOWDOWN = 0.05


class Outcome(enum.IntEnum):
    """How a gate, or one of its checks, came out; the value is the exit code. 2 is wrong use, as everywhere."""

    PASSED = 0
    """Every limit was kept."""
    FAILED = 1
    """A limit was exceeded: a slowdown, too small a speed-up, too many host syncs or retraces."""
    INCONCLUSIVE = 3
    """The measurement cannot tell: the interval is too wide, a batch is suspiciously short, or there were too few
    processes of each loop."""
    INVALID = 4
    """There is nothing to judge: the record is broken or missing, its loops did not do the same work, something that
    was asked for could not be measured, or the reference is not comparable."""


_GRAVEST_FIRST = (Outcome.INVALID, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a gate allows a record, and asks of it."""

    max_slowdown: float = MAX_SLOWDOWN  # as a share: 0.05 is 5% more ms/batch
    max_syncs: float | None = None  # host syncs a batch, of the loop after
    min_speedup: float | None = None  # time before / time after
    max_retraces: int | None = None  # traces of functions after warm-up, of the loop after


@dataclasses.dataclass(frozen=True)
class Check:
    """One question, its answer, and the numbers that it was answered with where there are some."""

    name: str
    outcome: Outcome
    text: str
    interval: Interval | None = None
    limit: float | None = None


@dataclasses.dataclass(frozen=True)
class Decision:
    """A gate's checks with their outcomes; the gravest is the gate's own."""

    checks: tuple[Check, ...]

    @classmethod
    def invalid(cls, *reasons: str) -> Self:
        """A decision without checks: there is nothing to judge, for these reasons."""
        return cls(tuple(Check("validity", Outcome.INVALID, reason) for reason in reasons))

    @property
    def outcome(self) -> Outcome:
        """The gravest of the checks' outcomes."""
        return min((check.outcome for check in self.checks), key=_GRAVEST_FIRST.index)

    @property
    def line(self) -> str:
        """One line: what failed and by how much; if nothing did, what was measured."""
        same = [check.text for check in self.checks if check.outcome == self.outcome]
        return f"{self.outcome.name.lower()}: {'; '.join(same)}"


def judge(record: Record, limits: Limits, reference: Record | None = None) -> Decision:
    """Whether `record` keeps to the limits.

    Args:
        record: of the run to be judged.
        limits: for it.
        reference: what ms/batch must not exceed; without one, the record's own loop before.
    """
    broken = [f"the record: {problem}" for problem in invalid(record)]
    if reference is not None:
        broken += [f"the reference: {problem}" for problem in invalid(reference)]
        broken += differing_loops(record, reference) or differences(record, reference)
    if broken:
        return Decision.invalid(*broken)
    checks = _slowdown(record, limits.max_slowdown, reference)
    if limits.min_speedup is not None:
        checks.append(_speedup(record, limits.min_speedup))
    if limits.max_syncs is not None:
        checks.append(_syncs(record, limits.max_syncs))
    if limits.max_retraces is not None:
        checks.append(_retraces(record, limits.max_retraces))
    if record.settings.homes and samples.processes(record.rounds) < 2:
        text = "one process of each loop: by how much one differs from the next is not known; --processes"
        checks.append(Check("processes", Outcome.INCONCLUSIVE, text))
    if why := suspicion(record):
        checks.append(Check("plausibility", Outcome.INCONCLUSIVE, f"suspicious: {why}"))
    return Decision(tuple(checks))


def slowdown_in(record: Record) -> tuple[Interval, float]:
    """By what factor the loop after is slower than the loop before, and by what a second instance of that is.

    Where the null arm shows that two instances of the loop before differ, the interval is widened on both sides by
    as much: which of them the loop after should be held against cannot be known.

    Returns:
        The factor, and the factor by which the null arm takes longer; 1 when its interval holds 1.
    """
    factor = samples.speed_up(record.rounds, CONFIDENCE).reciprocal
    null = samples.null(record.rounds, CONFIDENCE).reciprocal
    noise = 1.0 if null.holds(1.0) else null.estimate
    return _widened(factor, noise), noise


def slowdown_against(record: Record, reference: Record) -> tuple[Interval, float]:
    """By what factor the loop after is slower than in the reference, and by what the machine is.

    Two runs meet two moods of a machine, which the unchanged loop before tells: each run's times are divided
    by those of its own loop before. But a mood need not hit both loops alike. By how much more or less it hits
    the one cannot be known, and is taken to be no more than it hits the other: the interval is widened on both
    sides by what the loop before has moved. (The plain ratio of ms/batch always lies in it.)

    Returns:
        The factor, and the factor by which the loop before takes longer than in the reference; 1 when its interval
        holds 1.
    """
    after, before = (
        (samples.milliseconds(record.rounds, name), samples.milliseconds(reference.rounds, name))
        for name in ("after", "before")
    )
    relative = unpaired_ratio_interval(after[0] / before[0], after[1] / before[1], CONFIDENCE)
    moved = unpaired_ratio_interval(before[0], before[1], CONFIDENCE)
    mood = 1.0 if moved.holds(1.0) else moved.estimate
    return _widened(_widened(relative, mood), _between_processes(record, reference)), mood


def _between_processes(*records: Record) -> float:
    """The factor by which processes of the same loops may differ in these records together."""
    return math.prod(samples.between_processes(record.rounds, CONFIDENCE) for record in records)


def _widened(interval: Interval, factor: float) -> Interval:
    """Widens an interval on both sides by a factor, which may be above 1 or below."""
    more = max(factor, 1 / factor)
    return Interval(interval.estimate, interval.low / more, interval.high * more)


def _slowdown(record: Record, limit: float, reference: Record | None) -> list[Check]:
    if reference is None:
        factor, noise = slowdown_in(record)
        than, advice = "before", f"a second instance of the loop before takes {noise - 1:+.1%}: run again"
    else:
        factor, noise = slowdown_against(record, reference)
        than = "in the reference, relative to before"
        advice = (
            f"the loop before, which should not have changed, took {noise - 1:+.1%}, so the machine was not the same "
            "(or what both loops share has changed): run again, or time the old loop as --before in one run"
        )
    text = f"after takes {factor.estimate - 1:+.1%} ms/batch compared with {than} {_numbers(factor, limit)}"
    if factor.low > 1 and factor.high >= 1 + limit:
        return [Check("slowdown", Outcome.FAILED, text, _less_one(factor), limit)]
    if factor.high >= 1 + limit:
        processes = samples.processes(record.rounds)
        if record.settings.homes and processes < clusters.FEWEST:
            text = (
                f"after takes {factor.estimate - 1:+.1%} ms/batch compared with {than}, in too few processes of each "
                f"loop to tell by how much one differs from the next ({processes}; --processes)"
            )
            return [Check("slowdown", Outcome.INCONCLUSIVE, text, _less_one(factor), limit)]
        more = "more processes would tell: --processes" if record.settings.homes else None
        text += f"; {advice if noise != 1 else more or 'more rounds would tell: --precision, --max-time'}"
        return [Check("slowdown", Outcome.INCONCLUSIVE, text, _less_one(factor), limit)]
    return [
        Check("slowdown", Outcome.PASSED, text, _less_one(factor), limit),
        _in_total(record, limit, reference, noise),
    ]


def _in_total(record: Record, limit: float, reference: Record | None, noise: float) -> Check:
    """A slowdown that only some rounds show, such as a checkpoint now and then: robust means leave it out."""
    after, before = (samples.milliseconds(record.rounds, name) for name in ("after", "before"))
    there = None
    if reference is not None:
        there = tuple(samples.milliseconds(reference.rounds, name) for name in ("after", "before"))

    def interval(confidence: float) -> Interval:
        records = [record] if reference is None else [record, reference]
        processes = math.prod(samples.between_processes(each.rounds, confidence) for each in records)
        return _widened(_widened(total_ratio_interval(after, before, there, confidence), noise), processes)

    factor = interval(CONFIDENCE)
    text = f"in total time after takes {factor.estimate - 1:+.1%} {_numbers(factor, limit)}"
    outcome = Outcome.PASSED
    if factor.low > 1 + limit:
        outcome = Outcome.FAILED
        text += ": some of its rounds are slow"
    elif factor.estimate > 1 + limit and interval(0.95).low > 1:
        outcome = Outcome.INCONCLUSIVE
        text += ": a few of its rounds are slow; more of them would tell whether by chance"
    return Check("total time", outcome, text, _less_one(factor), limit)


def _numbers(factor: Interval, limit: float) -> str:
    return f"({CONFIDENCE:.1%} interval {factor.low - 1:+.1%} to {factor.high - 1:+.1%}; limit {limit:+.1%})"


def _less_one(factor: Interval) -> Interval:
    return Interval(*(value - 1 for value in factor))


def _speedup(record: Record, limit: float) -> Check:
    ratio = samples.speed_up(record.rounds, CONFIDENCE)
    text = (
        f"before/after is {ratio.estimate:.2f}× ({CONFIDENCE:.1%} interval {ratio.low:.2f} to {ratio.high:.2f}; "
        f"at least {limit:g}× is wanted)"
    )
    outcome = Outcome.PASSED if ratio.low >= limit else Outcome.FAILED if ratio.high < limit else Outcome.INCONCLUSIVE
    return Check("speedup", outcome, text, ratio, limit)


def _syncs(record: Record, limit: float) -> Check:
    counted = record.arms["after"].host_syncs
    if counted is None:
        return Check("syncs", Outcome.INVALID, "the host syncs of after were not counted", limit=limit)
    reads = counted.reads_per_batch
    text = f"after makes {reads:.3g} host syncs a batch (limit {limit:g})"
    outcome = Outcome.PASSED if reads <= limit else Outcome.FAILED
    return Check("syncs", outcome, text, Interval(reads, reads, reads), limit)


def _retraces(record: Record, limit: int) -> Check:
    traced = traced_when_warm(record.arms["after"])
    if traced is None:
        return Check("retraces", Outcome.INVALID, "whether after traces when it is warm was not recorded", limit=limit)
    traces = sum(each.traces for each in traced)
    why = f" ({'; '.join(traced[0].why)})" if traced and traced[0].why else ""
    most = f", most often {traced[0].function}{why}" if traced else ""
    text = f"after traces functions {traces} times after warm-up (limit {limit}){most}"
    outcome = Outcome.PASSED if traces <= limit else Outcome.FAILED
    return Check("retraces", outcome, text, Interval(traces, traces, traces), limit)
