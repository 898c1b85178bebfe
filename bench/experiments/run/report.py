"""The report of a run: the verdict, and the comparison of both loops in groups of rows."""

from __future__ import annotations

from collections.abc import Iterator

from loop_bench.experiments.run import conditions, plots, read_rows
from loop_bench.experiments.run.figures import Comparison, Timing
from loop_bench.experiments.run.read_rows import Arms
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.terms import TERMS
from loop_bench.experiments.run.verdict import Kind, Verdict
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.figures import Rate, outcome, outcomes
from loop_bench.experiments.telemetry import report as telemetry
from loop_bench.experiments.telemetry.record import Telemetry
from loop_bench.report import rows
from loop_bench.report.report import Headline, Number, Report, Tone
from loop_bench.report.rows import NULL_ARM, Row, few, number, speed_up, spread, times_fewer
from loop_bench.settings import ARMS
from loop_bench.statistics import Spread

TONES = {
    Kind.FASTER: Tone.GOOD, Kind.SLOWER: Tone.BAD, Kind.SAME: Tone.PLAIN, Kind.INCONCLUSIVE: Tone.UNSURE,
    Kind.INVALID: Tone.BAD,
}  # fmt: skip


def report(record: Record) -> Report:
    """The report of a record."""
    found = Comparison.of(record)
    verdict, arms, watched = Verdict.of(record, found), (found.before, found.after), _watched(found)
    groups = [
        ("speed", "speed", "metric", list(speed(found, verdict)), _speed_answer(found.timing, verdict)),
        ("syncs", "host syncs", "metric", list(read_rows.rows(arms)), _syncs_answer(arms)),
        ("memory", "memory and machine", "metric", telemetry.rows(*watched), telemetry.answer(*watched)),
        ("survival", "survival", "fault", list(survival(found)), _survival_answer(arms)),
    ]
    speeds, syncs, *others = (rows.table(title, stated, answer, key, of) for key, title, of, stated, answer in groups)
    return Report.of(
        "run",
        [speeds, syncs, read_rows.call_sites(arms), read_rows.retraces(arms), *others],
        conditions.facts(record, found),
        rows.numbers([row for _, _, _, stated, _ in groups for row in stated]),
        plots.pictures(record),
        headlines=[Headline(str(verdict.kind), verdict.reason, TONES[verdict.kind])],
        doubts=_doubts(verdict),
        terms=TERMS,
    )


def _watched(found: Comparison) -> tuple[Telemetry | None, Telemetry | None]:
    return found.before.telemetry, found.after.telemetry


def _doubts(verdict: Verdict) -> list[str]:
    suspicious = [f"suspicious: {verdict.suspicious}"] if verdict.suspicious else []
    return [*suspicious, *(f"doubt: {doubt}" for doubt in verdict.doubts)]


def speed(found: Comparison, verdict: Verdict) -> Iterator[Row]:
    """Time a batch beside the null arm, throughput of several replicas, and the time to the first batch."""
    arms, timing = (found.before, found.after), found.timing
    yield Row.of(
        "ms/batch, median (quartiles)", arms, lambda arm: arm.ms_per_batch, spread,
        number("time a batch", "ms", Number.median),
        change=lambda before, after: _change_of_time(timing, verdict),
        changes=[Number.estimate("speed-up", ARMS[1], "ratio", timing.speed_up if timing else None)],
        brief=spread,
    )  # fmt: skip
    if timing:
        texts = (spread(found.before.ms_per_batch), spread(timing.null_ms_per_batch), speed_up(timing.null))
        yield Row(
            "before against itself (null arm)",
            texts,
            (Number.median("time a batch", NULL_ARM, "ms", timing.null_ms_per_batch),),
            (Number.estimate("speed-up", NULL_ARM, "ratio", timing.null),),
            brief=texts,
        )
    if found.replicas > 1:
        yield from _throughput(arms)
    yield Row.of(
        "time to first batch, s, median (quartiles)", arms, lambda arm: arm.start_seconds, spread,
        number("time to first batch", "s", Number.median),
        change=lambda before, after: times_fewer(before.median, after.median, "shorter", "longer"),
    )  # fmt: skip


def _throughput(arms: Arms) -> Iterator[Row]:
    """One row where both loops say how much is in a batch, and in the same unit."""
    known = [arm.throughput for arm in arms if arm.throughput]
    units = {each.unit for each in known}
    if len(known) == len(arms) and len(units) == 1:
        (unit,) = units
        yield Row.of(
            f"{unit}/s, median (quartiles)", arms, lambda arm: arm.throughput and arm.throughput.per_second, _rates,
            number("throughput", f"{unit}/s", Number.median),
        )  # fmt: skip


def _rates(found: Spread) -> str:
    return f"{found.median:,.0f} ({found.low:,.0f} to {found.high:,.0f})"


def _speed_answer(timing: Timing | None, verdict: Verdict) -> str:
    return _change_of_time(timing, verdict) or "nothing was timed"


def _change_of_time(timing: Timing | None, verdict: Verdict) -> str:
    """How ms/batch changed, which never says more than the verdict does."""
    if timing is None:
        return ""
    if verdict.kind in (Kind.FASTER, Kind.SLOWER):
        return speed_up(timing.speed_up)
    if verdict.kind == Kind.INVALID:
        return "invalid: no speed-up"
    return f"{verdict.kind} (95%: {timing.speed_up.low:.3f} to {timing.speed_up.high:.3f})"


def _syncs_answer(arms: Arms) -> str:
    before, after = (arm.host_syncs_per_batch for arm in arms)
    if before is None or after is None:
        return ""
    if before == after:
        return f"{few(before)} a batch in both"
    return f"{times_fewer(before, after, 'fewer', 'more')}, {few(before)} → {few(after)} a batch"


def survival(found: Comparison) -> Iterator[Row]:
    """How each loop came through each fault of the run."""
    arms = found.before, found.after
    at = f" (preset {found.survival_preset})" if found.survival_preset else ""
    for fault in dict.fromkeys(fault for arm in arms for fault in arm.survivals):
        yield _fault(fault, f"{Fault.parse(fault).describe()}{at}", arms)


def _fault(fault: str, title: str, arms: Arms) -> Row:
    return Row.of(
        title, arms, lambda arm: arm.survivals.get(fault), outcome,
        lambda loop, runs: Number.plain(f"alive after {fault}", loop, f"of {len(runs)} runs", Rate.of(runs).alive),
        brief=outcomes,
    )  # fmt: skip


def _survival_answer(arms: Arms) -> str:
    """In how many of the runs with a fault each loop lived, of those that tell something."""
    rates = {
        name: Rate.of(run for runs in arm.survivals.values() for run in runs)
        for name, arm in zip(ARMS, arms, strict=True)
    }
    known = [f"{name} {rate.alive} of {rate.runs}" for name, rate in rates.items() if rate.runs]
    return f"alive after a fault: {', '.join(known)}" if known else ""
