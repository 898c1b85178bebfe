"""The rows and tables of a run that say where the host reads the device, and what is traced although a loop is warm."""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from loop_bench.experiments.run.figures import ArmFigures
from loop_bench.experiments.syncs.record import HostSyncs, ReadSite, TracedFunction
from loop_bench.report.report import Table
from loop_bench.report.rows import Row, few, number, times_fewer
from loop_bench.report.texts import SOURCE
from loop_bench.settings import ARMS

SHOWN = 5
"""Lines of a table that are shown at once; the rest is folded."""

MOST = 25
"""Lines of a table at most; the record has all of them."""

Arms = tuple[ArmFigures, ArmFigures]


def rows(arms: Arms) -> Iterator[Row]:
    """Host syncs, bytes and traces of both loops, a row each."""
    change = functools.partial(times_fewer, less="fewer", more="more")
    yield Row.of(
        "host syncs a batch", arms, lambda arm: arm.host_syncs_per_batch, few,
        number("host syncs", "a batch"), change=change, brief=few,
    )  # fmt: skip
    if lengths := {arm.batches_per_epoch for arm in arms if arm.batches_per_epoch}:
        yield Row.of(
            f"host syncs an epoch of {' or '.join(map(str, sorted(lengths)))} batches", arms,
            lambda arm: arm.host_syncs_per_epoch, few, number("host syncs", "an epoch"), change=change,
        )  # fmt: skip
    yield Row.of(
        "bytes read from the device a batch", arms, lambda arm: arm.nbytes_per_batch, few,
        number("bytes read", "a batch"), change=change,
    )  # fmt: skip
    if any(arm.host_syncs and arm.host_syncs.in_graphs for arm in arms):
        yield Row.of("host ops in graphs, not counted above", arms, lambda arm: arm.host_syncs, _in_graphs)
    if any(arm.host_syncs and arm.host_syncs.copies for arm in arms):
        yield Row.of("copies from the device a batch that no read explains", arms, _unexplained, few, change=change)
    if any(arm.traced is not None for arm in arms):
        yield Row.of(
            "traces of functions after warm-up", arms, lambda arm: arm.traces, str,
            number("traces after warm-up", "traces"),
        )  # fmt: skip


def call_sites(arms: Arms) -> Table:
    """A row for each line of code that reads, in turns those of each loop, which begin with its most frequent.

    Returns:
        Texts in the columns line, call, before, after, source: reads a batch of each loop.
    """
    found = {arm: _sites(figures.host_syncs) for arm, figures in zip(ARMS, arms, strict=True)}
    return _by_line("host syncs a batch by line", found, ["line", "call"], SOURCE)


def retraces(arms: Arms) -> Table:
    """A row for each function that was traced although the loop was warm.

    Returns:
        Texts in the columns function, line, before, after, what differed: traces of each loop.
    """
    found = {arm: _functions(figures.traced or ()) for arm, figures in zip(ARMS, arms, strict=True)}
    return _by_line("functions traced after warm-up", found, ["function", "line"], "what differed")


Line = tuple[str, str, str]
"""Two cells that say where, and one that says what is there."""


def _sites(syncs: HostSyncs | None) -> dict[Line, float]:
    """Reads a batch of each line, the most first."""
    reads: dict[Line, float] = collections.defaultdict(float)
    if syncs:
        for site in syncs.sites:
            reads[f"{site.file}:{site.line}", _call(site), site.source] += site.reads / syncs.batches
    return reads


def _call(site: ReadSite) -> str:
    return f"{site.route}, by {site.library}" if site.library else site.route


def _functions(traced: Sequence[TracedFunction]) -> dict[Line, float]:
    """Traces of each function, the most first."""
    traces: dict[Line, float] = collections.defaultdict(float)
    for function in traced:
        line = f"{function.file}:{function.line}"
        traces[function.function, line, "; ".join(function.why)] += function.traces
    return traces


def _by_line(title: str, counts: Mapping[str, Mapping[Line, float]], where: Sequence[str], what: str) -> Table:
    """A table of lines, in turns those of each loop, so that the first of both are among the rows shown.

    A line that both loops share has one row; lines beyond `MOST` are added up.
    """
    ranks = itertools.zip_longest(*(counts[arm] for arm in ARMS))
    lines = list(dict.fromkeys(line for rank in ranks for line in rank if line is not None))
    rows = [(*line[:2], *_cells(counts, [line]), line[2]) for line in lines[:MOST]]
    if rest := lines[MOST:]:
        rows.append((f"{len(rest)} more", "", *_cells(counts, rest), "in the record"))
    frame = pd.DataFrame(rows, columns=[*where, *ARMS, what])
    return Table(title, frame, shown=SHOWN)


def _cells(counts: Mapping[str, Mapping[Line, float]], lines: Sequence[Line]) -> list[str]:
    """The sum over lines of each loop; empty where it has none of them."""
    known = ([counts[arm][line] for line in lines if line in counts[arm]] for arm in ARMS)
    return [few(sum(values)) if values else "" for values in known]


def _in_graphs(syncs: HostSyncs) -> str:
    counts: collections.Counter[str] = collections.Counter()
    for op in syncs.in_graphs:
        counts[op.kind] += op.ops
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"


def _unexplained(arm: ArmFigures) -> float | None:
    """Copies a batch that the device made and no read explains; None where no device was traced."""
    syncs = arm.host_syncs
    return syncs.copies.unexplained / syncs.batches if syncs and syncs.copies else None
