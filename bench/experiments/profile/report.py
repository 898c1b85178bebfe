"""The report of a profile: where the time goes, and which ops take most of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from loop_bench.experiments.profile.record import OpTime, Profile, ProfileRecord
from loop_bench.report import machines
from loop_bench.report.report import Fact, Headline, Number, Report, Table, Tone
from loop_bench.settings import ARMS

TOP = 15
"""Ops in a table."""

_LONGEST_NAME = 70

_BUSY = {"CPU": "an op in flight on some CPU thread", "GPU": "device busy: a kernel or copy on some stream"}
_IDLE = {"CPU": "no op in flight", "GPU": "device idle"}


def report(record: ProfileRecord) -> Report:
    """The report of a record."""
    titled = [Table("where the time goes", both(record))]
    for arm in ARMS:
        found = record.arms[arm]
        titled += [
            Table(f"{arm}: the ops that take most", top("op", found.ops, found, record.settings.batches), shown=6),
            Table(
                f"{arm}: the kinds of ops that take most",
                top("kind", found.kinds, found, record.settings.batches),
                shown=6,
            ),
        ]
    headlines = [_headline(arm, record.arms[arm]) for arm in ARMS]
    return Report.of("profile", titled, facts(record), _numbers(record), headlines=headlines, doubts=_doubts(record))


def _headline(arm: str, found: Profile) -> Headline:
    """How much of the traced time ops were in flight, and which kind of op takes the largest share."""
    if not found.kinds:
        return Headline(arm, "no op is in the trace", Tone.UNSURE)
    most = found.kinds[0]
    busy, _, _ = _BUSY[found.device].partition(": ")
    return Headline(
        arm,
        f"{busy} for {found.busy_share:.0%} of the traced time; {most.kind} takes the largest share of it, "
        f"{most.apportioned / found.stretch:.0%}",
        Tone.UNSURE if found.problems else Tone.PLAIN,
    )


def both(record: ProfileRecord) -> pd.DataFrame:
    """A row for each figure of the traced and untraced stretches.

    Returns:
        Texts in the columns "", and one an arm.
    """
    batches, cores = record.settings.batches, record.environment.get("cores")
    devices = dict.fromkeys(found.device for found in record.arms.values())
    rows: list[tuple[str, Callable[[Profile], str]]] = [
        ("ms/batch without the profiler, two stretches", lambda found: _untraced(found, batches)),
        ("ms/batch while traced", lambda found: f"{_ms(found.traced.seconds, batches)} ({_overhead(found)})"),
        ("CPUs busy without the profiler", lambda found: f"{found.cores:.2f} of {cores}"),
        (
            f"{' / '.join(_BUSY[device] for device in devices)}, of the traced time",
            lambda found: f"{found.busy_share:.1%}",
        ),
        (
            f"{' / '.join(_IDLE[device] for device in devices)}, ms/batch while traced",
            lambda found: _ms(found.gaps.seconds, batches),
        ),
        ("such gaps a batch", lambda found: _three_digits(found.gaps.count / batches)),
        ("the longest of them", lambda found: f"{_ms(found.gaps.longest, 1)} ms"),
        (
            "ops in flight at a time, while any is",
            lambda found: "" if found.overlap is None else f"{found.overlap:.2f}",
        ),
        ("ops seen a batch", lambda found: _three_digits(sum(op.count for op in found.ops) / batches)),
    ]
    return pd.DataFrame([(what, *(say(record.arms[arm]) for arm in ARMS)) for what, say in rows], columns=["", *ARMS])


def top(what: str, ops: Iterable[OpTime], found: Profile, batches: int) -> pd.DataFrame:
    """A row for each of the ops, or kinds of ops, that take most of a stretch, and one for the rest and the gaps.

    Args:
        what: is in the rows, for a heading.
        ops: or kinds, the most of the stretch first.
        found: what they are of.
        batches: of the stretch.

    Returns:
        Texts in a column of that name, and in runs a batch, ms/batch, share, in flight. The shares add up to 100%.
    """
    shown, rest = list(ops)[:TOP], list(ops)[TOP:]
    rows = [_op(each, found, batches, _shorter(each.name)) for each in shown]
    if rest:
        runs, apportioned = sum(op.count for op in rest), sum(op.apportioned for op in rest)
        in_flight = sum(op.in_flight for op in rest)
        together = OpTime(name="rest", kind="rest", count=runs, in_flight=in_flight, apportioned=apportioned)
        rows.append(_op(together, found, batches, f"{len(rest)} more"))
    if rows:
        idle = found.gaps.seconds
        rows.append((_IDLE[found.device], "", _ms(idle, batches), f"{idle / found.stretch:.1%}", ""))
    return pd.DataFrame(rows, columns=[what, "runs a batch", "ms/batch", "share", "in flight, ms/batch"])


def facts(record: ProfileRecord) -> list[Fact]:
    """The conditions of the tables."""
    settings = record.settings
    return [
        *(Fact(arm, record.arms[arm].factory) for arm in ARMS),
        Fact("settings", f"preset {settings.preset}, seed {settings.seed}"),
        Fact("stretches", f"{settings.batches} batches each, after warm-up"),
        Fact(
            "ms/batch of an op",
            "while traced, each moment is divided evenly among the ops in flight, so that ops and gaps add up to the "
            "traced time",
        ),
        Fact(
            "in flight",
            "from start to completion, waiting for a free thread included, less the ops inside it; runs that overlap "
            "are all counted",
        ),
        *_of_cpu(record),
        *machines.facts(record.environment),
    ]


def _doubts(record: ProfileRecord) -> list[str]:
    return [
        f"doubt: {arm}: the trace is not complete: {problem}" for arm in ARMS for problem in record.arms[arm].problems
    ]


def _numbers(record: ProfileRecord) -> Iterator[Number | None]:
    batches = record.settings.batches
    for arm in ARMS:
        found = record.arms[arm]
        for each in found.untraced:
            yield Number.plain("time a batch, not traced", arm, "ms", 1e3 * each.seconds / batches)
        yield Number.plain("time a batch, traced", arm, "ms", 1e3 * found.traced.seconds / batches)
        yield Number.plain("CPUs busy, not traced", arm, "CPUs", found.cores)
        yield Number.plain(f"{found.device} busy, traced", arm, "share of time", found.busy_share)
        yield Number.plain(f"{found.device} idle, traced", arm, "ms a batch", 1e3 * found.gaps.seconds / batches)
        for op in found.ops:
            yield Number.plain(f"op {op.name}", arm, "ms a batch", 1e3 * op.apportioned / batches)


def _of_cpu(record: ProfileRecord) -> list[Fact]:
    if all(found.device == "GPU" for found in record.arms.values()):
        return []
    facts = [
        Fact("on a CPU", "an op counts once, on however many threads it works; the input pipeline's ops count as well"),
        Fact(
            "CPUs busy", "CPU time / wall-clock time of the whole process, including threads that spin while they wait"
        ),
    ]
    if not record.every_op:
        facts.append(
            Fact(
                "ops shown",
                "of plain graphs, TensorFlow traces only ops that it counts as expensive: cheap ones are in the gaps, "
                "as is the executor's own work. Of functions compiled by XLA it traces every op. `loop-bench profile "
                "--every-op` traces all, at a price in time",
            )
        )
    return facts


def _op(op: OpTime, found: Profile, batches: int, name: str) -> tuple[str, ...]:
    return (
        name,
        _three_digits(op.count / batches),
        _ms(op.apportioned, batches),
        f"{op.apportioned / found.stretch:.1%}",
        _ms(op.in_flight, batches),
    )


def _untraced(found: Profile, batches: int) -> str:
    return " and ".join(_ms(each.seconds, batches) for each in found.untraced)


def _overhead(found: Profile) -> str:
    """What tracing costs, in words: not measurable where the two untraced stretches differ by more."""
    seconds = [each.seconds for each in found.untraced]
    if min(seconds) <= found.traced.seconds <= max(seconds):
        return "no measurable overhead"
    return f"{found.overhead:+.0%}"


def _ms(seconds: float, batches: int) -> str:
    return _three_digits(1e3 * seconds / batches)


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _shorter(name: str) -> str:
    """The end of a long name: it begins with scopes that many ops share."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"
