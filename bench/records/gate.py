"""The gate: decides whether a record passes, with few false alarms in a CI job that runs on every change.

A slowdown is judged like a drug in a non-inferiority trial (Wellek, Testing Statistical Hypotheses of Equivalence and
Noninferiority, 2010): a record passes when its interval shows that the slowdown is less than the limit, and fails
when the interval shows that there is a slowdown and does not show that it is less. Noise alone therefore neither
passes nor fails: a run that is too short is inconclusive.
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
"""Confidence of the gate's intervals: at 95%, a gate that runs on every change would often be wrong by chance.

With the default precision, the smallest slowdown that fails at this confidence is about half the default limit."""

MAX_SLOWDOWN = 0.05
"""Default limit of the slowdown, as a share of ms/batch."""


class Outcome(enum.IntEnum):
    """Outcome of a gate or of one of its checks; the value is the exit code (2 is wrong use, as in every command)."""

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
    """Limits that a gate sets for a record; None: not checked."""

    max_slowdown: float = MAX_SLOWDOWN  # as a share: 0.05 is 5% more ms/batch
    max_syncs: float | None = None  # host syncs per batch of the loop after
    min_speedup: float | None = None  # time before / time after
    max_retraces: int | None = None  # traces of functions of the loop after, once it is warm


@dataclasses.dataclass(frozen=True)
class Check:
    """Result of one check: its outcome, its reason in words, and the interval and limit that decided it."""

    name: str
    outcome: Outcome
    text: str
    interval: Interval | None = None
    limit: float | None = None


@dataclasses.dataclass(frozen=True)
class Decision:
    """The checks of a gate; the gravest of their outcomes is the gate's."""

    checks: tuple[Check, ...]

    @classmethod
    def invalid(cls, *reasons: str) -> Self:
        """The decision for a record that cannot be judged, for these reasons."""
        return cls(tuple(Check("validity", Outcome.INVALID, reason) for reason in reasons))

    @property
    def outcome(self) -> Outcome:
        """The gravest of the checks' outcomes."""
        return min((check.outcome for check in self.checks), key=_GRAVEST_FIRST.index)

    @property
    def line(self) -> str:
        """The outcome and the texts of the checks that decided it, in one line."""
        deciding = [check.text for check in self.checks if check.outcome == self.outcome]
        return f"{self.outcome.name.lower()}: {'; '.join(deciding)}"


def judge(record: Record, limits: Limits, reference: Record | None = None) -> Decision:
    """Decides whether a record is within the limits.

    Args:
        record: the run to be judged.
        limits: the limits of the gate.
        reference: the record whose ms/batch is the baseline; None: the record's own loop before.
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
        text = (
            "one process of each loop: the variation between processes is unknown; "
            f"give --processes {clusters.FEWEST} or more"
        )
        checks.append(Check("processes", Outcome.INCONCLUSIVE, text))
    if why := suspicion(record):
        checks.append(Check("plausibility", Outcome.INCONCLUSIVE, f"suspicious: {why}"))
    return Decision(tuple(checks))


def slowdown_in(record: Record) -> tuple[Interval, float]:
    """The factors by which the loop after and the null arm are slower than the loop before.

    If the null arm shows that two instances of the loop before differ, the interval is widened on both sides by that
    factor, because either instance could be the baseline.

    Returns:
        The factor of the loop after with its interval, and the factor of the null arm; 1 if its interval contains 1.
    """
    factor = samples.speed_up(record.rounds, CONFIDENCE).reciprocal
    null = samples.null(record.rounds, CONFIDENCE).reciprocal
    noise = 1.0 if null.holds(1.0) else null.estimate
    return _widened(factor, noise), noise


def slowdown_against(record: Record, reference: Record) -> tuple[Interval, float]:
    """The factors by which the loop after and the machine are slower than in the reference.

    The speed of a machine differs from run to run, and the unchanged loop before shows by how much: each run's times
    are divided by those of its own loop before. The machine need not affect both loops alike, so the difference
    between its effects on them is bounded by its effect on the loop before: the interval is widened on both sides by
    the change of the loop before. (The plain ratio of ms/batch always lies in it.)

    Returns:
        The factor of the loop after with its interval, and the factor of the loop before; 1 if its interval contains 1.
    """
    after, before = (
        (samples.milliseconds(record.rounds, name), samples.milliseconds(reference.rounds, name))
        for name in ("after", "before")
    )
    relative = unpaired_ratio_interval(after[0] / before[0], after[1] / before[1], CONFIDENCE)
    of_before = unpaired_ratio_interval(before[0], before[1], CONFIDENCE)
    machine = 1.0 if of_before.holds(1.0) else of_before.estimate
    return _widened(_widened(relative, machine), _between_processes(record, reference)), machine


def _between_processes(*records: Record) -> float:
    """The factor by which the variation between processes widens an interval over all these records."""
    return math.prod(samples.between_processes(record.rounds, CONFIDENCE) for record in records)


def _widened(interval: Interval, factor: float) -> Interval:
    """Widens an interval on both sides by a factor above or below 1."""
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
            f"the loop before, which should not have changed, took {noise - 1:+.1%}, so the speed of the machine "
            "changed (or code that both loops share): run again, or time the old loop as --before in one run"
        )
    text = f"after takes {factor.estimate - 1:+.1%} ms/batch compared with {than} {_numbers(factor, limit)}"
    if factor.low > 1 and factor.high >= 1 + limit:
        return [Check("slowdown", Outcome.FAILED, text, _less_one(factor), limit)]
    if factor.high >= 1 + limit:
        processes = samples.processes(record.rounds)
        if record.settings.homes and processes < clusters.FEWEST:
            text = (
                f"after takes {factor.estimate - 1:+.1%} ms/batch compared with {than}, but {processes} processes of "
                f"each loop are too few to know the variation between processes; give --processes {clusters.FEWEST} or "
                "more"
            )
            return [Check("slowdown", Outcome.INCONCLUSIVE, text, _less_one(factor), limit)]
        more = "more processes would decide: --processes" if record.settings.homes else None
        text += f"; {advice if noise != 1 else more or 'more rounds would decide: --precision, --max-time'}"
        return [Check("slowdown", Outcome.INCONCLUSIVE, text, _less_one(factor), limit)]
    return [
        Check("slowdown", Outcome.PASSED, text, _less_one(factor), limit),
        _in_total(record, limit, reference, noise),
    ]


def _in_total(record: Record, limit: float, reference: Record | None, noise: float) -> Check:
    """Checks total time, which shows a slowdown of a few rounds (a checkpoint, say) that robust means leave out."""
    after, before = (samples.milliseconds(record.rounds, name) for name in ("after", "before"))
    of_reference = None
    if reference is not None:
        of_reference = tuple(samples.milliseconds(reference.rounds, name) for name in ("after", "before"))

    def interval(confidence: float) -> Interval:
        records = [record] if reference is None else [record, reference]
        processes = math.prod(samples.between_processes(each.rounds, confidence) for each in records)
        return _widened(_widened(total_ratio_interval(after, before, of_reference, confidence), noise), processes)

    factor = interval(CONFIDENCE)
    text = f"in total time after takes {factor.estimate - 1:+.1%} {_numbers(factor, limit)}"
    outcome = Outcome.PASSED
    if factor.low > 1 + limit:
        outcome = Outcome.FAILED
        text += ": some of its rounds are slow"
    elif factor.estimate > 1 + limit and interval(0.95).low > 1:
        outcome = Outcome.INCONCLUSIVE
        text += ": a few of its rounds are slow, perhaps by chance; more rounds would decide: --precision, --max-time"
    return Check("total time", outcome, text, _less_one(factor), limit)


def _numbers(factor: Interval, limit: float) -> str:
    return f"({CONFIDENCE:.1%} interval {factor.low - 1:+.1%} to {factor.high - 1:+.1%}; limit {limit:+.1%})"


def _less_one(factor: Interval) -> Interval:
    return Interval(*(value - 1 for value in factor))


def _speedup(record: Record, limit: float) -> Check:
    ratio = samples.speed_up(record.rounds, CONFIDENCE)
    text = (
        f"before/after is {ratio.estimate:.2f}× ({CONFIDENCE:.1%} interval {ratio.low:.2f} to {ratio.high:.2f}; "
        f"limit {limit:g}×)"
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
        return Check("retraces", Outcome.INVALID, "the retraces of after were not recorded", limit=limit)
    traces = sum(function.traces for function in traced)
    why = f" ({'; '.join(traced[0].why)})" if traced and traced[0].why else ""
    most = f", most often {traced[0].function}{why}" if traced else ""
    text = f"the loop after: {traces} retraces after warm-up (limit {limit}){most}"
    outcome = Outcome.PASSED if traces <= limit else Outcome.FAILED
    return Check("retraces", outcome, text, Interval(traces, traces, traces), limit)
