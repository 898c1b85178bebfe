"""Records over time: how ms/batch and the ratio went from run to run, and where they changed for good."""

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
"""Fewer do not tell their noise, by which a change is judged."""

_PENALTY = 7.0
"""Times the variance of the noise and the logarithm of the number of records. BIC asks 2 for a change (its place and
its size), but the noise is known from few records only: with 7, of series that have no change one in twenty is called
changed at 8 records and one in a hundred from 10 on (tests/bench/records/test_history.py)."""


class Entry(NamedTuple):
    """A record in a history."""

    path: Path
    record: Record
    speed_up: Interval
    ms: dict[str, float]  # a batch, by arm
    changed: tuple[str, ...]  # what took another level here: `ms/batch before`, `ms/batch after`, `ratio`


@dataclasses.dataclass(frozen=True)
class History:
    """Records of one machine, pair and setting, oldest first."""

    entries: tuple[Entry, ...]


def read(folder: Path) -> tuple[list[History], list[str]]:
    """All the histories in a folder and those below it, and which files are left out, and why.

    Raises:
        UsageError: there is no such folder, or no record in it.
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
        elif record not in records.values():  # a reference is a copy of the record that was accepted
            records[path] = record
    if not records:
        raise UsageError(f"results {folder}: no valid record in it" + "".join(f"; {each}" for each in left_out[:1]))
    return [of(group) for group in _alike(records)], left_out


def of(records: dict[Path, Record]) -> History:
    """The history of records that are alike but for when they were made."""
    order = sorted(records, key=lambda path: records[path].created)
    ratios = [samples.speed_up(records[path].rounds) for path in order]
    ms = [
        {arm: float(np.median(samples.milliseconds(records[path].rounds, arm))) for arm in ("before", "after")}
        for path in order
    ]
    changes = {
        "ms/batch before": change_points([each["before"] for each in ms]),
        "ms/batch after": change_points([each["after"] for each in ms]),
        "ratio": change_points([ratio.estimate for ratio in ratios]),
    }
    return History(
        tuple(
            Entry(path, records[path], ratios[i], ms[i], tuple(what for what, at in changes.items() if i in at))
            for i, path in enumerate(order)
        )
    )


def change_points(values: Sequence[float]) -> list[int]:
    """Where a series of positive values takes another level: the number of the first value there.

    PELT (Killick, Fearnhead and Eckley, JASA 107, 2012) with squared error on the logarithm, as `ruptures` has it.
    The penalty is a multiple of the noise, which is estimated from the differences of neighbours, so that a
    change of level does not count as noise.

    Args:
        values: [n] positive, in the order of time.

    Returns:
        Indices, in order; none for fewer than FEWEST_RECORDS values.
    """
    if len(values) < FEWEST_RECORDS:
        return []
    logs = np.log(np.asarray(values, float))
    # Median absolute difference over the square root of 2, scaled to a normal's standard deviation.
    noise = max(float(np.median(np.abs(np.diff(logs)))) / 0.954, 1e-3)
    penalty = _PENALTY * noise**2 * np.log(len(logs))
    import ruptures  # here, for SciPy's signal processing comes with it, and every run imports this module

    ends: list[int] = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(logs).predict(pen=penalty)
    return ends[:-1]  # the last is the end of the series


def _alike(records: dict[Path, Record]) -> Iterable[dict[Path, Record]]:
    """Groups of records of the same loops, settings and machine; software may change within one, that is history."""
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
