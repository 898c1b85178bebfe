"""How often the gate gives which answer, as a row of a table."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from loop_bench.experiments.run.record import Record
from loop_bench.records import gate
from loop_bench.statistics import wilson_interval

Found = TypeVar("Found")


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
