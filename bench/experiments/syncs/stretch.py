"""Counts host syncs and retraces in a stretch of training; plain values, because an arm's process lacks pydantic."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Any

from loop_bench.errors import UsageError
from loop_bench.failure import ENDLESS
from loop_bench.hostsync.graphs import HostOp
from loop_bench.hostsync.log import Site, by_site
from loop_bench.hostsync.reconcile import Reconciled, reconciled
from loop_bench.hostsync.repeats import Repeats
from loop_bench.hostsync.tracing import Trace, by_function
from loop_bench.loop import TrainingLoop, history, name_of
from loop_bench.source import place, shorter


def counted(loop: TrainingLoop, batches: int, traced: Iterable[HostOp] = (), trace: bool = False) -> dict[str, Any]:
    """Trains batches, and counts the reads of the device in them and in returning their history.

    The history is included because a loop that keeps its metrics on the device still reads them, only later and in
    bulk. The loop should have run before, because tracing makes reads of its own.

    Args:
        loop: the loop.
        batches: batches to train.
        traced: host ops in the graphs that the loop traced when it first ran.
        trace: whether TensorFlow's profiler traces the device meanwhile.

    Returns:
        The fields of a `HostSyncs`.

    Raises:
        UsageError: the loop's history does not grow by one value per batch.
    """
    # Reads that return the history of earlier batches again do not count.
    repeats = Repeats()
    with repeats.remembering():
        before = {key: len(values) for key, values in history(loop).items()}
    with reconciled(trace) as (log, copies):
        loop.run(batches)
        with repeats.finding() as repeated_reads:
            kept = loop.history()
    repeated = set(map(id, repeated_reads))
    reads = [read for read in log.reads if id(read) not in repeated]
    for key, values in kept.items():
        if len(values) - before.get(key, 0) != batches:
            grown = f"history {key!r} has grown by {len(values) - before.get(key, 0)} in {batches} batches"
            raise UsageError(f"{name_of(loop)}: {grown}; run(batches) must train exactly that many: {ENDLESS}")
    return {
        "batches": batches,
        "sites": [
            {
                "route": site.route,
                "file": shorter(site.file),
                "line": site.line,
                "source": site.source,
                "reads": site.reads,
                "nbytes": site.nbytes,
                "seconds": site.seconds,
                "waits": site.waits,
                "waited": site.waited,
                "library": _library(site),
            }
            for site in by_site(reads)
        ],
        "in_graphs": in_graphs([*traced, *log.host_ops]),
        "copies": _copies(copies[0]) if copies else None,
        "traced": functions(log.traces),
    }


def functions(traces: Iterable[Trace]) -> list[dict[str, Any]]:
    """Groups traces by function; returns the fields of a `TracedFunction` for each."""
    return [
        {
            "function": function.function,
            "file": shorter(function.file),
            "line": function.line,
            "source": function.source,
            "traces": function.traces,
            "why": function.why,
        }
        for function in by_function(traces)
    ]


def _copies(copies: Reconciled) -> dict[str, int]:
    return {
        "matched": copies.matched,
        "unexplained": len(copies.unexplained),
        "unexplained_nbytes": copies.unexplained_nbytes,
        "python_only": copies.python_only,
        "uncopied": copies.uncopied,
    }


def _library(site: Site) -> str:
    """The line of a library that reads most often for a site; empty: the site reads itself."""
    frames = next((frames for frames, _ in site.readers), ())
    return f"{frames[0].function} at {place(frames[0].file, frames[0].line)}" if frames else ""


def in_graphs(host_ops: Iterable[HostOp]) -> list[dict[str, Any]]:
    """Groups host ops by kind, function and line; returns the fields of a `GraphHostOps` for each."""
    # A retraced function contains the same ops again.
    counts = collections.Counter((op.kind, op.function, shorter(op.file), op.line) for op in dict.fromkeys(host_ops))
    return [
        {"kind": kind, "function": function, "file": file, "line": line, "ops": ops}
        for (kind, function, file, line), ops in counts.items()
    ]
