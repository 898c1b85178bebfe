"""The comparison as a frame of texts: one row a metric, columns before, after, change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from bench import environment, statistics
from bench.faults import Fault
from bench.record import Arm, Record, Survival

COLUMNS = ["metric", "before", "after", "change"]
NOT_MEASURED = "not measured"


class Row(NamedTuple):
    """One metric of both loops, ready to be read."""

    metric: str
    before: str
    after: str
    change: str = ""


def comparison(record: Record) -> pd.DataFrame:
    """One row a metric; each number with its unit in the metric's name.

    Args:
        record: of a run; what it does not hold is said to be not measured.

    Returns:
        Texts in the columns metric, before, after, change.
    """
    arms = record.arms["before"], record.arms["after"]
    rows = [_time_per_batch(record), _first_batch(*arms), *_host_syncs(*arms), *_temperature(*arms), *_faults(*arms)]
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
        lines.append("On a CPU a host sync costs hardly anything: its count is that of a GPU, its price is not.")
    return lines


def _time_per_batch(record: Record) -> Row:
    title = "ms/batch, median (quartiles)"
    if not record.rounds:
        return Row(title, NOT_MEASURED, NOT_MEASURED)
    before, after = (
        np.array([1e3 * done.seconds[arm] / done.batches for done in record.rounds]) for arm in ("before", "after")
    )
    ratio = statistics.ratio_interval(before, after)
    return Row(title, _spread(before), _spread(after), speed_up(ratio))


def speed_up(ratio: statistics.Interval) -> str:
    """The ratio of times in words; none where its interval holds 1."""
    if ratio.high == float("inf"):
        return f"{ratio.estimate:.2f}× (one round: no interval)"
    if ratio.holds(1.0):
        return f"no measurable difference (95% interval of the ratio {ratio.low:.2f} to {ratio.high:.2f})"
    if ratio.estimate > 1:
        return f"{ratio.estimate:.2f}× faster (95%: {ratio.low:.2f} to {ratio.high:.2f})"
    return f"{1 / ratio.estimate:.2f}× slower (95%: {1 / ratio.high:.2f} to {1 / ratio.low:.2f})"


def _spread(samples: np.ndarray) -> str:
    found = statistics.spread(samples)
    return f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"


def _first_batch(before: Arm, after: Arm) -> Row:
    title = "time to first batch, s, median (all)"
    if not (before.starts and after.starts):
        return Row(title, NOT_MEASURED, NOT_MEASURED)
    old, new = ([start.first_batch_seconds for start in arm.starts] for arm in (before, after))
    change = _times(float(np.median(old)), float(np.median(new)), "shorter", "longer")
    return Row(title, _median_and_all(old), _median_and_all(new), change)


def _median_and_all(values: list[float]) -> str:
    return f"{np.median(values):.2f} ({', '.join(f'{value:.2f}' for value in values)})"


def _host_syncs(before: Arm, after: Arm) -> list[Row]:
    old, new = before.host_syncs, after.host_syncs
    if old is None or new is None:
        return [Row("host syncs a batch", NOT_MEASURED, NOT_MEASURED)]
    return [
        _counts("host syncs a batch", old.reads_per_batch, new.reads_per_batch),
        _counts("bytes read from the device a batch", old.nbytes_per_batch, new.nbytes_per_batch),
    ]


def _counts(title: str, before: float, after: float) -> Row:
    return Row(title, _few(before), _few(after), _times(before, after, "fewer", "more"))


def _temperature(before: Arm, after: Arm) -> list[Row]:
    texts = []
    for arm in (before, after):
        first, last = arm.described_first.get("temperature"), arm.described_last.get("temperature")
        texts.append("" if first is None or last is None else f"{first:.2f} → {last:.2f}")
    return [Row("temperature, start → end", *texts)] if any(texts) else []


def _faults(before: Arm, after: Arm) -> list[Row]:
    outcomes: dict[str, dict[str, Survival]] = {}
    for name, arm in (("before", before), ("after", after)):
        for survival in arm.survivals:
            outcomes.setdefault(survival.fault, {})[name] = survival
    return [
        Row(Fault.parse(fault).describe(), _outcome(found.get("before")), _outcome(found.get("after")))
        for fault, found in outcomes.items()
    ]


def _outcome(survival: Survival | None) -> str:
    return NOT_MEASURED if survival is None else f"{survival.outcome}: {survival.reason}"


def _times(before: float, after: float, less: str, more: str) -> str:
    if before == after:
        return "same"
    if not before or not after:
        return f"{less if after < before else more}"
    return f"{before / after:.3g}× {less}" if after < before else f"{after / before:.3g}× {more}"


def _few(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
