"""The comparison as a frame of texts: one row a metric, columns before, after, change."""

from __future__ import annotations

import math

import pandas as pd

from bench import environment
from bench.comparison import ArmFigures, Comparison
from bench.faults import Fault
from bench.record import Record, Survival
from bench.statistics import FEWEST_PAIRS, Interval, Spread

COLUMNS = ["metric", "before", "after", "change"]
NOT_MEASURED = "not measured"

Row = tuple[str, str, str, str]


def comparison(record: Record) -> pd.DataFrame:
    """One row a metric; each number with its unit in the metric's name.

    Args:
        record: of a run; what it does not hold is said to be not measured.

    Returns:
        Texts in the columns metric, before, after, change.
    """
    found = Comparison.of(record)
    before, after = found.before, found.after
    rows: list[Row] = [
        (
            "ms/batch, median (quartiles)",
            _spread(before.ms_per_batch),
            _spread(after.ms_per_batch),
            speed_up(found.speed_up),
        ),
        _times("time to first batch, s, median (quartiles)", before.start_seconds, after.start_seconds),
        _counts("host syncs a batch", before.host_syncs_per_batch, after.host_syncs_per_batch),
        _counts("bytes read from the device a batch", before.nbytes_per_batch, after.nbytes_per_batch),
        *_temperature(before, after),
        *_faults(before, after),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def footer(record: Record) -> list[str]:
    """What a reader must know to believe the table."""
    settings = record.settings
    options = "".join(f", {name}={value}" for name, value in settings.options.items())
    lines = [
        f"before: {settings.before}, after: {settings.after}",
        f"preset {settings.preset}, seed {settings.seed}{options}; {len(record.rounds)} interleaved rounds "
        f"of {settings.batches} batches a loop",
        environment.machine(record.environment),
    ]
    if not record.environment["gpus"]:
        lines.append("Without a GPU a host sync costs hardly anything: it does not have to wait for queued work.")
    return lines


def speed_up(ratio: Interval | None) -> str:
    """The ratio of times in words; none where its interval holds 1."""
    if ratio is None:
        return ""
    if math.isinf(ratio.high):
        return f"{ratio.estimate:.2f}× (an interval needs {FEWEST_PAIRS} rounds)"
    if ratio.holds(1.0):
        return f"no measurable difference (95% interval of the ratio {ratio.low:.2f} to {ratio.high:.2f})"
    if ratio.estimate > 1:
        return f"{ratio.estimate:.2f}× faster (95%: {ratio.low:.2f} to {ratio.high:.2f})"
    return f"{1 / ratio.estimate:.2f}× slower (95%: {1 / ratio.high:.2f} to {1 / ratio.low:.2f})"


def _times(title: str, before: Spread | None, after: Spread | None) -> Row:
    change = _change(before.median, after.median, "shorter", "longer") if before and after else ""
    return title, _spread(before), _spread(after), change


def _counts(title: str, before: float | None, after: float | None) -> Row:
    change = "" if before is None or after is None else _change(before, after, "fewer", "more")
    return title, _few(before), _few(after), change


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
            _outcome(before.survivals.get(fault)),
            _outcome(after.survivals.get(fault)),
            "",
        )
        for fault in dict.fromkeys([*before.survivals, *after.survivals])
    ]


def _outcome(survival: Survival | None) -> str:
    return NOT_MEASURED if survival is None else f"{survival.outcome}: {survival.reason}"


def _spread(found: Spread | None) -> str:
    return NOT_MEASURED if found is None else f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"


def _few(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def _change(before: float, after: float, less: str, more: str) -> str:
    if before == after:
        return "same"
    if not before or not after:
        return less if after < before else more
    return f"{before / after:.3g}× {less}" if after < before else f"{after / before:.3g}× {more}"
