"""How often a loop makes the host wait for the device, batch by batch."""

from __future__ import annotations

import collections
import os

from bench import hostsync
from bench.errors import UsageError
from bench.loop import TrainingLoop, history
from bench.record import HostSyncs, ReadSite


def count_host_syncs(loop: TrainingLoop, batches: int) -> HostSyncs:
    """The reads in `batches` of training and in the history that is handed over afterwards.

    The history belongs to it: a loop that keeps its metrics on the device reads them after all, only later
    and in bulk. The loop should have run before, for tracing makes reads of its own.

    Raises:
        UsageError: the loop's history does not grow by a value a batch.
    """
    # What has been kept until now does not belong to these batches.
    before = {key: len(values) for key, values in history(loop).items()}
    with hostsync.record() as log:
        loop.run(batches)
        kept = loop.history()
    for key, values in kept.items():
        if len(values) - before.get(key, 0) != batches:
            raise UsageError(f"history {key!r} has grown by {len(values) - before.get(key, 0)} in {batches} batches")
    by_site: dict[tuple[str, str, int], list[hostsync.Read]] = collections.defaultdict(list)
    for read in log.reads:
        by_site[read.route, _short(read.file), read.line].append(read)
    sites = (
        ReadSite(
            route=route,
            file=file,
            line=line,
            reads=len(reads),
            nbytes=sum(read.nbytes for read in reads),
            seconds=sum(read.seconds for read in reads),
        )
        for (route, file, line), reads in by_site.items()
    )
    return HostSyncs(batches=batches, sites=tuple(sorted(sites, key=lambda site: (-site.reads, site.file, site.line))))


def _short(file: str) -> str:
    """The path from the current folder where that is shorter: a record should not depend on where it was made."""
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative
