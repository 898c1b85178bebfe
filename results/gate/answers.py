"""How often the gate gives which answer, as a row of a table."""

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
    """Has the gate judge records by themselves, and against earlier ones of identical code.

    Args:
        records: of runs, in their order, by the share of extra work in the loops after; of 0.0 as many as of any.
        step: so many records before each is its reference.
        other: how that is called, in words.
    """
    references = [None] * step + [*records[0.0]][:-step]
    rows = []
    for share, of_share in records.items():
        rows.append(answers(share, "by itself", of_share, [None] * len(of_share)))
        rows.append(answers(share, other, of_share[step:], references[step:]))
    return rows


def answers(planted: float, how: str, records: Sequence[Record], references: Sequence[Record | None]) -> dict[str, Any]:
    """Has the gate judge records, with its default limits.

    Args:
        planted: share of extra work in the loops after.
        how: they are judged, in words.
        records: of runs.
        references: what each is held against; None: the loop before of the same run.
    """
    found = on_all_cores(_outcome, list(zip(records, references, strict=True)), f"{planted:.0%}, {how}")
    failed = wilson_interval(found.count(gate.Outcome.FAILED), len(found))
    return {
        "planted": f"{planted:.0%}",
        "judged": how,
        **{outcome.name.lower(): found.count(outcome) for outcome in gate.Outcome},
        "share failed (95% Wilson)": f"{failed.estimate:.1%} ({failed.low:.1%} to {failed.high:.1%})",
    }


def _outcome(record: Record, reference: Record | None) -> gate.Outcome:
    return gate.judge(record, gate.Limits(), reference).outcome


def on_all_cores(function: Callable[..., Found], arguments: Sequence[tuple[Any, ...]], title: str) -> list[Found]:
    """What a function of a module gives for each of several arguments: bootstraps take seconds. Shows progress."""
    cores = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(mp_context=cores) as pool:
        found = pool.map(function, *zip(*arguments, strict=True))
        return list(track(found, title, len(arguments), console=Console(stderr=True)))
