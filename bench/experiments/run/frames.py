"""The comparison as a frame of texts: one row a metric, columns before, after, change."""

from __future__ import annotations

import collections
from typing import Any

import pandas as pd

from bench.experiments.run.figures import ArmFigures, Comparison, Timing
from bench.experiments.run.record import Record
from bench.experiments.run.verdict import Verdict
from bench.experiments.survival import Fault, figures
from bench.experiments.syncs.record import HostSyncs
from bench.experiments.telemetry import report
from bench.machine import environment
from bench.report.wording import NOT_MEASURED, few, speed_up, spread
from bench.settings import ARMS
from bench.statistics import Spread

COLUMNS = ["metric", "before", "after", "change"]
Row = tuple[str, str, str, str]

MOST_SITES = 12
"""Lines that are shown of each loop; the record has all of them."""

_NO_HOST_OPS = "none"


def comparison(found: Comparison) -> pd.DataFrame:
    """One row a metric; each number with its unit in the metric's name.

    Args:
        found: the figures of a record; what it does not hold is said to be not measured.

    Returns:
        Texts in the columns metric, before, after, change.
    """
    before, after = found.before, found.after
    rows: list[Row] = [
        (
            "ms/batch, median (quartiles)",
            spread(before.ms_per_batch),
            spread(after.ms_per_batch),
            speed_up(found.timing.speed_up) if found.timing else "",
        ),
        *_null(found),
        _times("time to first batch, s, median (quartiles)", before.start_seconds, after.start_seconds),
        _counts("host syncs a batch", before.host_syncs_per_batch, after.host_syncs_per_batch),
        *_epochs(before, after),
        *_sites("before", before),
        *_sites("after", after),
        *_in_graphs(before, after),
        *_unexplained(before, after),
        _counts("bytes read from the device a batch", before.nbytes_per_batch, after.nbytes_per_batch),
        *report.rows(before.telemetry, after.telemetry),
        *_temperature(before, after),
        *_faults(before, after),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def footer(record: Record, found: Comparison, verdict: Verdict) -> list[str]:
    """What a reader must know to believe the table."""
    settings = record.settings
    options = f", {_options(settings.options)}" if settings.options else ""
    lines = [
        f"verdict: {verdict.kind}: {verdict.reason}",
        *(f"suspicious: {why}" for why in [verdict.suspicious] if why),
        *(f"doubt: {doubt}" for doubt in verdict.doubts),
        f"before: {settings.before}, after: {settings.after}",
        f"preset {settings.preset}, seed {settings.seed}{options}; {_length(record, found.timing)}",
        *(f"equivalence: {each.reason} ({_options(each.options)})" for each in [record.equivalence] if each),
        environment.machine(record.environment),
    ]
    if not record.environment["gpus"]:
        lines.append("Without a GPU a host sync costs hardly anything: it does not have to wait for queued work.")
    return lines


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _length(record: Record, timing: Timing | None) -> str:
    settings, ended = record.settings, record.rounds_ended
    if ended is None or timing is None:
        return "nothing was timed"
    why = {
        "precise": f"until the interval of the ratio was narrower than {settings.precision:.1%}",
        "out of time": f"the time of {settings.max_time:g} s was over",
        "as many as asked for": "as many as were asked for",
    }[ended]
    return (
        f"{len(record.rounds)} interleaved rounds of {settings.batches} batches a loop, {why}; "
        f"between the blocks went by {timing.overhead:.1%} of the time in them"
    )


def _null(found: Comparison) -> list[Row]:
    timing: Timing | None = found.timing
    if timing is None:
        return []
    title = "the same of before against itself (null arm)"
    return [(title, spread(found.before.ms_per_batch), spread(timing.null_ms_per_batch), speed_up(timing.null))]


def _times(title: str, before: Spread | None, after: Spread | None) -> Row:
    change = _change(before.median, after.median, "shorter", "longer") if before and after else ""
    return title, spread(before), spread(after), change


def _counts(title: str, before: float | None, after: float | None) -> Row:
    change = "" if before is None or after is None else _change(before, after, "fewer", "more")
    return title, few(before), few(after), change


def _epochs(before: ArmFigures, after: ArmFigures) -> list[Row]:
    lengths = {arm.batches_per_epoch for arm in (before, after)} - {None}
    if not lengths:
        return []
    title = f"host syncs an epoch of {' or '.join(map(str, sorted(filter(None, lengths))))} batches"
    return [_counts(title, before.host_syncs_per_epoch, after.host_syncs_per_epoch)]


def _sites(name: str, arm: ArmFigures) -> list[Row]:
    """A row for each line that reads, those that read most often first."""
    syncs = arm.host_syncs
    if syncs is None:
        return []
    rows: list[Row] = []
    for site in syncs.sites[:MOST_SITES]:
        count = few(site.reads / syncs.batches)
        rows.append(_of_one(name, f"… by {site.route} at {site.file}:{site.line}", count, site.source))
    if left := syncs.sites[MOST_SITES:]:
        count = few(sum(site.reads for site in left) / syncs.batches)
        rows.append(_of_one(name, f"… at {len(left)} more lines", count, ""))
    return rows


def _of_one(name: str, title: str, figure: str, remark: str) -> Row:
    return (title, figure, "", remark) if name == ARMS[0] else (title, "", figure, remark)


def _in_graphs(before: ArmFigures, after: ArmFigures) -> list[Row]:
    first, second = (NOT_MEASURED if arm.host_syncs is None else _kinds(arm.host_syncs) for arm in (before, after))
    if {first, second} <= {NOT_MEASURED, _NO_HOST_OPS}:
        return []
    return [("host ops in graphs, not counted above", first, second, "")]


def _kinds(syncs: HostSyncs) -> str:
    counts: collections.Counter[str] = collections.Counter()
    for found in syncs.in_graphs:
        counts[found.kind] += found.ops
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or _NO_HOST_OPS


def _unexplained(before: ArmFigures, after: ArmFigures) -> list[Row]:
    """Copies that the device made and no read explains; nothing where no device was traced."""
    if not any(arm.host_syncs and arm.host_syncs.copies for arm in (before, after)):
        return []
    figures = [
        arm.host_syncs.copies.unexplained / arm.host_syncs.batches if arm.host_syncs and arm.host_syncs.copies else None
        for arm in (before, after)
    ]
    return [_counts("copies from the device a batch that no read explains", figures[0], figures[1])]


def _temperature(before: ArmFigures, after: ArmFigures) -> list[Row]:
    if before.temperature is None and after.temperature is None:
        return []
    return [("temperature, start → end", _from_to(before.temperature), _from_to(after.temperature), "")]


def _from_to(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.2f} → {pair[1]:.2f}"


def _faults(before: ArmFigures, after: ArmFigures) -> list[Row]:
    return [
        (
            Fault.parse(fault).describe(),
            figures.outcome(before.survivals.get(fault, ())),
            figures.outcome(after.survivals.get(fault, ())),
            "",
        )
        for fault in dict.fromkeys([*before.survivals, *after.survivals])
    ]


def _change(before: float, after: float, less: str, more: str) -> str:
    if before == after:
        return "same"
    if not before or not after:
        return less if after < before else more
    return f"{before / after:.3g}× {less}" if after < before else f"{after / before:.3g}× {more}"
