"""How often the gate gives which answer, as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import track

from loop_bench.experiments.run.record import Record
from loop_bench.records import gate
from loop_bench.statistics import wilson_interval


def answers(planted: float, how: str, records: Sequence[Record], references: Sequence[Record | None]) -> dict[str, Any]:
    """Has the gate judge records, with its default limits.

    Args:
        planted: share of extra work in the loops after.
        how: they are judged, in words.
        records: of runs.
        references: what each is held against; None: the loop before of the same run.
    """
    pairs = list(zip(records, references, strict=True))
    shown = track(pairs, f"{planted:.0%}, {how}", console=Console(stderr=True))
    found = [gate.judge(record, gate.Limits(), reference).outcome for record, reference in shown]
    failed = wilson_interval(found.count(gate.Outcome.FAILED), len(found))
    return {
        "planted": f"{planted:.0%}",
        "judged": how,
        **{outcome.name.lower(): found.count(outcome) for outcome in gate.Outcome},
        "share failed (95% Wilson)": f"{failed.estimate:.1%} ({failed.low:.1%} to {failed.high:.1%})",
    }
