"""The host syncs and traces of a stretch of training, as plain values: the process of an arm has no pydantic."""

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
    """The reads in `batches` of training and in the history that is handed over afterwards.

    The history belongs to it: a loop that keeps its metrics on the device reads them after all, only later
    and in bulk. The loop should have run before, for tracing makes reads of its own.

    Args:
        loop: the loop.
        batches: to train.
        traced: what was found in its graphs when it ran first.
        trace: whether TensorFlow's profiler is to look at the device meanwhile.

    Returns:
        The fields of a `HostSyncs`.

    Raises:
        UsageError: the loop's history does not grow by a value a batch.
    """
    # What has been kept until now does not belong to these batches, nor does handing it over once more.
    repeats = Repeats()
    with repeats.remembering():
        before = {key: len(values) for key, values in history(loop).items()}
    with reconciled(trace) as (log, copies):
        loop.run(batches)
        with repeats.finding() as again:
            kept = loop.history()
    repeated = set(map(id, again))
    reads = [read for read in log.reads if id(read) not in repeated]
    for key, values in kept.items():
        if len(values) - before.get(key, 0) != batches:
            grown = f"history {key!r} has grown by {len(values) - before.get(key, 0)} in {batches} batches"
            raise UsageError(f"{name_of(loop)}: {grown}; run(batches) trains exactly so many: {ENDLESS}")
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
    """Traces gathered by function; each has the fields of a `TracedFunction`."""
    return [
        {
            "function": each.function,
            "file": shorter(each.file),
            "line": each.line,
            "source": each.source,
            "traces": each.traces,
            "why": each.why,
        }
        for each in by_function(traces)
    ]


def _copies(found: Reconciled) -> dict[str, int]:
    return {
        "matched": found.matched,
        "unexplained": len(found.unexplained),
        "unexplained_nbytes": found.unexplained_nbytes,
        "python_only": found.python_only,
        "uncopied": found.uncopied,
    }


def _library(site: Site) -> str:
    """The line of a library that reads most often for a site; empty where the site reads itself."""
    frames = next((frames for frames, _ in site.readers), ())
    return f"{frames[0].function} at {place(frames[0].file, frames[0].line)}" if frames else ""


def in_graphs(found: Iterable[HostOp]) -> list[dict[str, Any]]:
    """Host ops gathered by kind, function and line; each has the fields of a `GraphHostOps`."""
    # A function that is traced again has the same ones again.
    counts = collections.Counter((op.kind, op.function, shorter(op.file), op.line) for op in dict.fromkeys(found))
    return [
        {"kind": kind, "function": function, "file": file, "line": line, "ops": ops}
        for (kind, function, file, line), ops in counts.items()
    ]
