"""The report of a run: the comparison of both loops, a row a metric, and what a reader must know to believe it."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from loop_bench.experiments.run import plots
from loop_bench.experiments.run.figures import ArmFigures, Comparison, Timing
from loop_bench.experiments.run.read_plots import MOST_SITES
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.stages import Stage
from loop_bench.experiments.run.verdict import Verdict
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.figures import Rate, outcome
from loop_bench.experiments.syncs.record import HostSyncs, TracedFunction
from loop_bench.experiments.telemetry import report as telemetry
from loop_bench.home import Residence
from loop_bench.machine import environment
from loop_bench.report import rows
from loop_bench.report.report import Number, Report
from loop_bench.report.rows import NULL_ARM, Row, few, number, speed_up, spread
from loop_bench.settings import ARMS
from loop_bench.statistics import Spread
from loop_bench.timing import samples
from loop_bench.timing.stopping import precision_of_group

TITLE = "before / after"

Arms = tuple[ArmFigures, ArmFigures]


def report(record: Record) -> Report:
    """The report of a record."""
    found = Comparison.of(record)
    stated, notes = list(comparison(found)), footer(record, found, Verdict.of(record, found))
    return Report.of("run", [(TITLE, rows.table(stated))], notes, rows.numbers(stated), plots.pictures(record))


def comparison(found: Comparison) -> Iterator[Row]:
    """A row for each metric, in the order of the table; what the record does not hold is said to be not measured."""
    arms = found.before, found.after
    yield from _times(arms, found.timing)
    if found.replicas > 1:
        yield from _throughput(arms)
    yield from _host_syncs(arms)
    yield from telemetry.rows(found.before.telemetry, found.after.telemetry)
    if any(arm.temperature for arm in arms):
        yield Row.of("temperature, start → end", arms, lambda arm: arm.temperature, _from_to, otherwise="")
    for fault in dict.fromkeys(fault for arm in arms for fault in arm.survivals):
        yield _fault(fault, arms, found.survival_preset)


def footer(record: Record, found: Comparison, verdict: Verdict) -> list[str]:
    """What a reader must know to believe the table."""
    settings = record.settings
    options = f", {_options(settings.options)}" if settings.options else ""
    lines = [
        f"verdict: {verdict.kind}: {verdict.reason}",
        *(f"suspicious: {why}" for why in [verdict.suspicious] if why),
        *(f"doubt: {doubt}" for doubt in verdict.doubts),
        *_loops(record),
        f"preset {settings.preset}, seed {settings.seed}{options}; {_length(record, found.timing)}",
        *(f"equivalence: {each.reason} ({_options(each.options)})" for each in [record.equivalence] if each),
        *_machine(record),
        *(f"took {_took(stages)}" for stages in [record.stages] if stages),
    ]
    if not record.environment["gpus"]:
        lines.append("Without a GPU a host sync costs hardly anything: it does not have to wait for queued work.")
    return lines


def _loops(record: Record) -> list[str]:
    """Which loops were compared; of those with processes of their own, where each has lived, and on what."""
    if not record.settings.homes:
        return [f"before: {record.settings.before}, after: {record.settings.after}"]
    residences = {arm: record.arms[arm].residence for arm in ARMS}
    lines = []
    for arm, home in residences.items():
        if home is not None:
            on = environment.software(home.versions, home.python)
            set_for = f"; {home.settings}" if home.settings else ""
            lines.append(f"{arm}: {record.arms[arm].factory} of {home.code}, {on}{set_for}")
            lines += [f"{arm}: {note}" for note in home.notes]
    before, after = residences.values()
    if before and after and (changes := _changes(before, after)):
        lines.append(f"before → after: {', '.join(changes)}")
    return lines


def _changes(before: Residence, after: Residence) -> list[str]:
    """Versions and variables in which two residences differ, as `TensorFlow 2.20.0 → 2.21.0`."""

    def named(home: Residence) -> dict[str, str]:
        return {**home.versions, "Python": home.python, **home.environment}

    one, other = named(before), named(after)
    return [
        f"{environment.TITLES.get(name, name)} {one.get(name, 'none')} → {other.get(name, 'none')}"
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]


def _machine(record: Record) -> list[str]:
    if record.settings.homes:
        return [environment.hardware(record.environment)]
    if not record.machines:
        return [environment.machine(record.environment)]
    chief, *workers = map(environment.machine, record.machines)
    others = [f"worker {index}: {'the same' if each == chief else each}" for index, each in enumerate(workers, 1)]
    return [f"trained together on {len(record.machines)} machines; chief, which measured: {chief}", *others]


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _length(record: Record, timing: Timing | None) -> str:
    settings, ended = record.settings, record.rounds_ended
    if ended is None or timing is None:
        return "nothing was timed"
    of = "the ratio in each process" if settings.homes else "the ratio"
    why = {
        "precise": f"until the interval of {of} was narrower than {precision_of_group(settings):.1%}",
        "out of time": f"the time of {settings.max_time:g} s was over",
        "as many as asked for": "as many as were asked for",
    }[ended]
    groups = samples.processes(record.rounds)
    turns = f"{groups} processes of each, one after the other" if groups > 1 else "a process of each"
    processes = f" in {turns}" if settings.homes else ""
    return (
        f"{len(record.rounds)} interleaved rounds of {settings.batches} batches a loop{processes}, {why}; "
        f"time between blocks: {timing.overhead:.1%} of measured time"
    )


def _took(stages: Mapping[Stage, float]) -> str:
    parts = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in stages.items())
    return f"{sum(stages.values()):.0f} s: {parts}"


def _times(arms: Arms, timing: Timing | None) -> Iterator[Row]:
    yield Row.of(
        "ms/batch, median (quartiles)", arms, lambda arm: arm.ms_per_batch, spread,
        number("time a batch", "ms", Number.median),
        change=lambda before, after: speed_up(timing.speed_up) if timing else "",
        changes=[Number.estimate("speed-up", ARMS[1], "ratio", timing.speed_up if timing else None)],
    )  # fmt: skip
    if timing:
        yield Row(
            "the same of before against itself (null arm)",
            (spread(arms[0].ms_per_batch), spread(timing.null_ms_per_batch), speed_up(timing.null)),
            (Number.median("time a batch", NULL_ARM, "ms", timing.null_ms_per_batch),),
            (Number.estimate("speed-up", NULL_ARM, "ratio", timing.null),),
        )
    yield Row.of(
        "time to first batch, s, median (quartiles)", arms, lambda arm: arm.start_seconds, spread,
        number("time to first batch", "s", Number.median),
        change=lambda before, after: _change(before.median, after.median, "shorter", "longer"),
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


def _host_syncs(arms: Arms) -> Iterator[Row]:
    fewer = functools.partial(_change, less="fewer", more="more")
    yield Row.of(
        "host syncs a batch", arms, lambda arm: arm.host_syncs_per_batch, few,
        number("host syncs", "a batch"), change=fewer,
    )  # fmt: skip
    if lengths := {arm.batches_per_epoch for arm in arms if arm.batches_per_epoch}:
        yield Row.of(
            f"host syncs an epoch of {' or '.join(map(str, sorted(lengths)))} batches", arms,
            lambda arm: arm.host_syncs_per_epoch, few, number("host syncs", "an epoch"), change=fewer,
        )  # fmt: skip
    yield from _of_either(_sites(name, arm.host_syncs) for name, arm in zip(ARMS, arms, strict=True) if arm.host_syncs)
    if any(arm.host_syncs and arm.host_syncs.in_graphs for arm in arms):
        yield Row.of("host ops in graphs, not counted above", arms, lambda arm: arm.host_syncs, _in_graphs)
    if any(arm.host_syncs and arm.host_syncs.copies for arm in arms):
        yield Row.of("copies from the device a batch that no read explains", arms, _unexplained, few, change=fewer)
    if any(arm.traced is not None for arm in arms):
        yield from _traces(arms)
    yield Row.of(
        "bytes read from the device a batch", arms, lambda arm: arm.nbytes_per_batch, few,
        number("bytes read", "a batch"), change=fewer,
    )  # fmt: skip


def _sites(name: str, syncs: HostSyncs) -> Iterator[Row]:
    """A row for each line of code that reads, those that read most often first."""
    for site in syncs.sites[:MOST_SITES]:
        title = f"… by {site.route} at {site.file}:{site.line}"
        by = f"; read by {site.library}" if site.library else ""
        yield _of_one(name, title, few(site.reads / syncs.batches), f"{site.source}{by}")
    if left := syncs.sites[MOST_SITES:]:
        reads = sum(site.reads for site in left)
        yield _of_one(name, f"… at {len(left)} more lines", few(reads / syncs.batches), "")


def _traces(arms: Arms) -> Iterator[Row]:
    yield Row.of(
        "traces of functions after warm-up", arms, lambda arm: arm.traces, str, number("traces after warm-up", "traces")
    )
    yield from _of_either(_traced(name, arm.traced or ()) for name, arm in zip(ARMS, arms, strict=True))


def _traced(name: str, functions: Sequence[TracedFunction]) -> Iterator[Row]:
    for each in functions[:MOST_SITES]:
        title = f"… of {each.function} at {each.file}:{each.line}"
        yield _of_one(name, title, str(each.traces), "; ".join(each.why))


def _of_either(rows: Iterable[Iterable[Row]]) -> Iterator[Row]:
    """Rows of one loop after the other; those of the same line in both loops become one."""
    found: dict[tuple[str, str], Row] = {}
    for row in itertools.chain.from_iterable(rows):
        before, after, remark = row.texts
        other = found.get((row.title, remark))
        texts = (before, after, remark) if other is None else (other.texts[0], after, remark)
        found[row.title, remark] = dataclasses.replace(row, texts=texts)
    yield from found.values()


def _of_one(name: str, title: str, count: str, remark: str) -> Row:
    return Row(title, (count, "", remark) if name == ARMS[0] else ("", count, remark))


def _in_graphs(syncs: HostSyncs) -> str:
    counts: collections.Counter[str] = collections.Counter()
    for found in syncs.in_graphs:
        counts[found.kind] += found.ops
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"


def _unexplained(arm: ArmFigures) -> float | None:
    """Copies a batch that the device made and no read explains; None where no device was traced."""
    syncs = arm.host_syncs
    return syncs.copies.unexplained / syncs.batches if syncs and syncs.copies else None


def _from_to(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.2f} → {pair[1]:.2f}"


def _fault(fault: str, arms: Arms, preset: str | None) -> Row:
    at = f" (preset {preset})" if preset else ""
    return Row.of(
        f"{Fault.parse(fault).describe()}{at}", arms, lambda arm: arm.survivals.get(fault), outcome,
        lambda loop, runs: Number.plain(f"alive after {fault}", loop, f"of {len(runs)} runs", Rate.of(runs).alive),
    )  # fmt: skip


def _change(before: float, after: float, less: str, more: str) -> str:
    if before == after:
        return "same"
    if not before or not after:
        return less if after < before else more
    return f"{before / after:.3g}× {less}" if after < before else f"{after / before:.3g}× {more}"
