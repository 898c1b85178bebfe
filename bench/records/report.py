"""Two records, and many over time, as frames of texts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.experiments.run.record import Record
from bench.experiments.survival import figures
from bench.records.change import Change
from bench.records.history import History
from bench.report.wording import NOT_MEASURED, change, few, interval, spread
from bench.settings import ARMS


def two(found: Change) -> pd.DataFrame:
    """One row a metric: the first record, the second, and what changed as far as that can be told.

    Returns:
        Texts in the columns metric, first, second, change.
    """
    rows: list[tuple[str, ...]] = []
    for arm in ARMS:
        first, second = (getattr(each, arm) for each in (found.first, found.second))
        ratio = found.ms_per_batch.get(arm)
        told = "not comparable" if ratio is None else change(ratio)
        rows.append(
            (f"ms/batch, {arm}, median (quartiles)", spread(first.ms_per_batch), spread(second.ms_per_batch), told)
        )
    timings = [each.timing for each in (found.first, found.second)]
    ratios = [interval(timing.speed_up) if timing else NOT_MEASURED for timing in timings]
    told = "not comparable" if found.speed_up is None else change(found.speed_up)
    rows.append(("time before / time after (95%)", *ratios, told))
    for arm in ARMS:
        first, second = (getattr(each, arm).host_syncs_per_batch for each in (found.first, found.second))
        told = "" if first is None or second is None else "same" if first == second else f"{second - first:+.3g}"
        rows.append((f"host syncs a batch, {arm}", few(first), few(second), told))
        before, after = (getattr(each, arm).survivals for each in (found.first, found.second))
        for fault in before:
            if fault in after:
                outcomes = figures.outcomes(before[fault]), figures.outcomes(after[fault])
                rows.append((f"{fault}, {arm}", *outcomes, "same" if outcomes[0] == outcomes[1] else "changed"))
    return pd.DataFrame(rows, columns=["metric", "first", "second", "change"])


def two_footer(found: Change) -> list[str]:
    """What keeps the two from being compared in more, and how to read what is compared."""
    lines = [f"another loop: {each}" for each in found.other_loops]
    if found.differing:
        lines.append(f"ms/batch cannot be compared: second has {'; '.join(found.differing)} (there: first)")
    else:
        lines.append(
            "Intervals hold the noise within each run. What a machine does from one run to the next is not in them: "
            "where both arms' ms/batch changed alike, it was the machine, or what both loops share."
        )
    return lines


def over_time(found: History, folder: Path) -> pd.DataFrame:
    """One row a record, oldest first.

    Returns:
        Texts in the columns made, commit, ms/batch before, ms/batch after, before/after (95%), changed, record.
    """
    rows = [
        {
            "made": f"{entry.record.created:%Y-%m-%d %H:%M}",
            "commit": _commit(entry.record),
            "ms/batch before": f"{entry.ms['before']:.2f}",
            "ms/batch after": f"{entry.ms['after']:.2f}",
            "before/after (95%)": interval(entry.speed_up),
            "changed here": ", ".join(entry.changed),
            "record": str(entry.path.relative_to(folder)),
        }
        for entry in found.entries
    ]
    return pd.DataFrame(rows)


def _commit(record: Record) -> str:
    commit = record.environment.get("commit")
    return f"{commit[:9]}{'+' if record.environment.get('dirty') else ''}" if commit else ""
