"""What is asked of records, as tables of texts: a gate's decision, the change between two, the history of many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from loop_bench.experiments.run.record import Record
from loop_bench.experiments.survival import figures
from loop_bench.records.change import Change
from loop_bench.records.gate import Decision
from loop_bench.records.history import History
from loop_bench.report.rows import NOT_MEASURED, change, few, interval, spread
from loop_bench.settings import ARMS
from loop_bench.statistics import Interval


def checks(decision: Decision) -> pd.DataFrame:
    """The checks of a gate, one a row.

    Returns:
        Texts in the columns check, outcome, why.
    """
    rows = [(check.name, check.outcome.name.lower(), check.text) for check in decision.checks]
    return pd.DataFrame(rows, columns=["check", "outcome", "why"])


def plain(decision: Decision) -> dict[str, Any]:
    """The decision as plain values for JSON: outcome, exit_code, line and checks; what is not finite is None."""
    return {
        "outcome": decision.outcome.name.lower(),
        "exit_code": int(decision.outcome),
        "line": decision.line,
        "checks": [
            {
                "name": check.name,
                "outcome": check.outcome.name.lower(),
                "text": check.text,
                **dict(zip(("estimate", "low", "high"), map(_finite, check.interval or (None,) * 3), strict=True)),
                "limit": check.limit,
            }
            for check in decision.checks
        ],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def comparison(compared: Change) -> pd.DataFrame:
    """Two records, one row a metric: the first, the second, and what changed as far as that can be told.

    Returns:
        Texts in the columns metric, first, second, change.
    """
    rows = [*_times(compared), *(row for arm in ARMS for row in (_syncs(compared, arm), *_outcomes(compared, arm)))]
    return pd.DataFrame(rows, columns=["metric", "first", "second", "change"])


def _times(compared: Change) -> Iterator[tuple[str, ...]]:
    for arm in ARMS:
        times = [spread(each.ms_per_batch) for each in _figures(compared, arm)]
        yield f"ms/batch, {arm}, median (quartiles)", *times, _changed(compared.ms_per_batch.get(arm))
    timings = [each.timing for each in (compared.first, compared.second)]
    ratios = [interval(timing.speed_up) if timing else NOT_MEASURED for timing in timings]
    yield "time before / time after (95%)", *ratios, _changed(compared.speed_up)


def _syncs(compared: Change, arm: str) -> tuple[str, ...]:
    first, second = (each.host_syncs_per_batch for each in _figures(compared, arm))
    told = "" if first is None or second is None else "same" if first == second else f"{second - first:+.3g}"
    return f"host syncs a batch, {arm}", few(first), few(second), told


def _outcomes(compared: Change, arm: str) -> Iterator[tuple[str, ...]]:
    """A row for each fault that both records have."""
    first, second = (each.survivals for each in _figures(compared, arm))
    for fault in first:
        if fault in second:
            outcomes = figures.outcomes(first[fault]), figures.outcomes(second[fault])
            yield f"{fault}, {arm}", *outcomes, "same" if outcomes[0] == outcomes[1] else "changed"


def _figures(compared: Change, arm: str) -> tuple[Any, Any]:
    return getattr(compared.first, arm), getattr(compared.second, arm)


def _changed(ratio: Interval | None) -> str:
    return "not comparable" if ratio is None else change(ratio)


def comparison_footer(compared: Change) -> list[str]:
    """Notes below `comparison`: what keeps the two from being compared in more, and how to read the intervals."""
    lines = [f"another loop: {each}" for each in compared.other_loops]
    if compared.differing:
        lines.append(f"ms/batch cannot be compared: second has {'; '.join(compared.differing)} (there: first)")
    else:
        lines.append(
            "Intervals hold the noise within each run. What a machine does from one run to the next is not in them: "
            "where both arms' ms/batch changed alike, it was the machine, or what both loops share."
        )
    return lines


def history(records: History, folder: Path) -> pd.DataFrame:
    """A history, one row a record, oldest first.

    Returns:
        Texts in the columns made, commit, ms/batch before, ms/batch after, before/after (95%), changed here, record.
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
        for entry in records.entries
    ]
    return pd.DataFrame(rows)


def _commit(record: Record) -> str:
    commit = record.environment.get("commit")
    return f"{commit[:9]}{'+' if record.environment.get('dirty') else ''}" if commit else ""
