"""Records over time: ms/batch and the ratio from run to run, and the points at which their level changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.verdict import invalid
from loop_bench.records.change import differing_loops, differing_work, same_machine
from loop_bench.statistics import Interval
from loop_bench.timing import samples

FEWEST_RECORDS = 8
"""Fewest records in which a change is looked for: fewer do not show their noise, which a change is compared with."""

_PENALTY = 7.0
"""PELT's penalty for a change point, in units of the noise's variance times the logarithm of the number of records.

BIC has 2 (the place of the change and its size), but here the noise is estimated from few records. With 7, the rate of
false alarms is one series in twenty at 8 records, and one in a hundred from 10 records on
(tests/bench/records/test_history.py)."""


class Entry(NamedTuple):
    """A record in a history, with its figures and the changes that begin with it."""

    path: Path
    record: Record
    speed_up: Interval
    ms: dict[str, float]  # median ms/batch, by arm
    changed: tuple[str, ...]  # series whose new level begins here: `ms/batch before`, `ms/batch after`, `ratio`


@dataclasses.dataclass(frozen=True)
class History:
    """Records of one machine, pair of loops and settings, oldest first."""

    entries: tuple[Entry, ...]


def read(folder: Path) -> tuple[list[History], list[str]]:
    """Reads all histories in a folder and its subfolders.

    Returns:
        The histories, and one line for each file that was left out, with the reason.

    Raises:
        UsageError: there is no such folder, or no valid record in it.
    """
    if not folder.is_dir():
        raise UsageError(f"results {folder}: no such folder")
    records: dict[Path, Record] = {}
    left_out: list[str] = []
    for path in sorted(folder.rglob("*.json")):
        try:
            record = Record.read(path)
        except InvalidRecordError as error:
            left_out.append(str(error))
            continue
        if problems := invalid(record):
            left_out.append(f"record {path}: invalid: {'; '.join(problems)}")
        elif record not in records.values():  # a reference is a copy of the accepted record
            records[path] = record
    if not records:
        raise UsageError(f"results {folder}: no valid record in it" + "".join(f"; {line}" for line in left_out[:1]))
    return [of(group) for group in _alike(records)], left_out


def of(records: dict[Path, Record]) -> History:
    """The history of records that have loops, settings and machine in common."""
    order = sorted(records, key=lambda path: records[path].created)
    ratios = [samples.speed_up(records[path].rounds) for path in order]
    ms = [
        {arm: float(np.median(samples.milliseconds(records[path].rounds, arm))) for arm in ("before", "after")}
        for path in order
    ]
    changes = {
        "ms/batch before": change_points([medians["before"] for medians in ms]),
        "ms/batch after": change_points([medians["after"] for medians in ms]),
        "ratio": change_points([ratio.estimate for ratio in ratios]),
    }
    return History(
        tuple(
            Entry(path, records[path], ratios[i], ms[i], tuple(name for name, points in changes.items() if i in points))
            for i, path in enumerate(order)
        )
    )


def change_points(values: Sequence[float]) -> list[int]:
    """Finds where the level of a series changes.

    PELT (Killick, Fearnhead and Eckley, JASA 107, 2012) with squared error on the logarithm, as `ruptures` implements
    it. The penalty is a multiple of the noise, which is estimated from the differences of neighbours, so that a
    change of level does not count as noise.

    Args:
        values: [n] positive, oldest first.

    Returns:
        The index of the first value of each new level, ascending; empty for fewer than FEWEST_RECORDS values.
    """
    if len(values) < FEWEST_RECORDS:
        return []
    logs = np.log(np.asarray(values, float))
    # Median absolute difference over the square root of 2, scaled to a normal's standard deviation.
    noise = max(float(np.median(np.abs(np.diff(logs)))) / 0.954, 1e-3)
    penalty = _PENALTY * noise**2 * np.log(len(logs))
    import ruptures  # imported late: it imports SciPy's signal processing, and every run imports this module

    ends: list[int] = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(logs).predict(pen=penalty)
    return ends[:-1]  # the last is the end of the series


def _alike(records: dict[Path, Record]) -> Iterable[dict[Path, Record]]:
    """Groups records by loops, settings and machine; software may differ within a group, as a part of its history."""
    groups: list[dict[Path, Record]] = []
    for path, record in records.items():
        for group in groups:
            first = next(iter(group.values()))
            same_work = not (differing_loops(record, first) or differing_work(record, first))
            if same_work and same_machine(record, first):
                group[path] = record
                break
        else:
            groups.append({path: record})
    return groups
