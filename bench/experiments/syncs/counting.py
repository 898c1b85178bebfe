"""How often a loop makes the host wait for the device, batch by batch."""

from __future__ import annotations

import collections
from collections.abc import Iterable

from bench import hostsync
from bench.errors import UsageError
from bench.experiments.syncs.record import GraphHostOps, HostSyncs, ReadSite, TracedCopies
from bench.hostsync import HostOp
from bench.hostsync.callsite import shorter
from bench.hostsync.reconcile import Reconciled, reconciled
from bench.loop import TrainingLoop, history


def count_host_syncs(loop: TrainingLoop, batches: int, traced: Iterable[HostOp] = (), trace: bool = False) -> HostSyncs:
    """The reads in `batches` of training and in the history that is handed over afterwards.

    The history belongs to it: a loop that keeps its metrics on the device reads them after all, only later
    and in bulk. The loop should have run before, for tracing makes reads of its own.

    Args:
        loop: the loop.
        batches: to train.
        traced: what was found in its graphs when it ran first.
        trace: whether TensorFlow's profiler is to look at the device meanwhile.

    Raises:
        UsageError: the loop's history does not grow by a value a batch.
    """
    # What has been kept until now does not belong to these batches.
    before = {key: len(values) for key, values in history(loop).items()}
    with reconciled(trace) as (log, copies):
        loop.run(batches)
        kept = loop.history()
    for key, values in kept.items():
        if len(values) - before.get(key, 0) != batches:
            raise UsageError(f"history {key!r} has grown by {len(values) - before.get(key, 0)} in {batches} batches")
    return HostSyncs(
        batches=batches,
        sites=tuple(
            ReadSite(
                route=site.route,
                file=shorter(site.file),
                line=site.line,
                source=site.source,
                reads=site.reads,
                nbytes=site.nbytes,
                seconds=site.seconds,
                waits=site.waits,
                waited=site.waited,
            )
            for site in hostsync.by_site(log.reads)
        ),
        in_graphs=in_graphs([*traced, *log.host_ops]),
        copies=_traced(copies[0]) if copies else None,
    )


def _traced(found: Reconciled) -> TracedCopies:
    return TracedCopies(
        matched=found.matched,
        unexplained=len(found.unexplained),
        unexplained_nbytes=found.unexplained_nbytes,
        python_only=found.python_only,
        uncopied=found.uncopied,
    )


def in_graphs(found: Iterable[HostOp]) -> tuple[GraphHostOps, ...]:
    """Host ops gathered by kind, function and line."""
    # A function that is traced again has the same ones again.
    counts = collections.Counter((op.kind, op.function, shorter(op.file), op.line) for op in dict.fromkeys(found))
    return tuple(
        GraphHostOps(kind=kind, function=function, file=file, line=line, ops=ops)
        for (kind, function, file, line), ops in counts.items()
    )
