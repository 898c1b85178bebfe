"""Counts the gate's decisions over many records, as rows of a table."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from loop_bench.experiments.run.record import Record
from loop_bench.records import gate
from loop_bench.statistics import wilson_interval

Found = TypeVar("Found")


def all_answers(records: Mapping[float, Sequence[Record]], step: int, other: str) -> list[dict[str, Any]]:
    """Lets the gate judge records without a reference, and with earlier ones of identical code as references.

    Args:
        records: records of runs in order, by the share of extra work in the loops after; 0.0 has as many as any other.
        step: distance from a record to its reference, in records.
        other: description of the reference, for the table.
    """
    references = [None] * step + [*records[0.0]][:-step]
    rows = []
    for share, of_share in records.items():
        rows.append(answers(share, "by itself", of_share, [None] * len(of_share)))
        rows.append(answers(share, other, of_share[step:], references[step:]))
    return rows


def answers(planted: float, how: str, records: Sequence[Record], references: Sequence[Record | None]) -> dict[str, Any]:
    """Lets the gate judge records with its default limits; returns a row of the table.

    Args:
        planted: share of extra work in the loops after.
        how: description of the reference, for the table.
        records: records of runs.
        references: the reference of each record; None: the loop before of the same run.
    """
    outcomes = on_all_cores(_outcome, list(zip(records, references, strict=True)), f"{planted:.0%}, {how}")
    failed = wilson_interval(outcomes.count(gate.Outcome.FAILED), len(outcomes))
    return {
        "planted": f"{planted:.0%}",
        "judged": how,
        **{outcome.name.lower(): outcomes.count(outcome) for outcome in gate.Outcome},
        "share failed (95% Wilson)": f"{failed.estimate:.1%} ({failed.low:.1%} to {failed.high:.1%})",
    }


def _outcome(record: Record, reference: Record | None) -> gate.Outcome:
    return gate.judge(record, gate.Limits(), reference).outcome


def on_all_cores(function: Callable[..., Found], arguments: Sequence[tuple[Any, ...]], title: str) -> list[Found]:
    """Calls a module's function with each of several arguments in parallel (bootstraps are slow); shows progress."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(mp_context=context) as pool:
        results = pool.map(function, *zip(*arguments, strict=True))
        return list(track(results, title, len(arguments), console=Console(stderr=True)))
