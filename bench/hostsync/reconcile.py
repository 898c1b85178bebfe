"""Matches the reads that Python saw with the copies in a profiler's trace."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Sequence

from loop_bench.errors import HostSyncWarning
from loop_bench.hostsync.log import Log, Read
from loop_bench.hostsync.recorder import record
from loop_bench.hostsync.tensorflow_private import TRACED_COPIES, lacking
from loop_bench.hostsync.trace import Copy, trace_copies


@dataclasses.dataclass(frozen=True)
class Reconciled:
    """Numbers of matched reads and copies, and what was left unmatched."""

    matched: int  # pairs of a read and a copy
    unexplained: tuple[Copy, ...]  # copies that no recorded read explains, in the order in which they started
    python_only: int  # reads of values that were on the host already, which need no copy
    uncopied: int  # reads of a device's values without a copy: DLPack exports, events that the trace lost

    @property
    def unexplained_nbytes(self) -> int:
        """Bytes of the copies that no recorded read explains."""
        return sum(copy.nbytes for copy in self.unexplained)


@contextlib.contextmanager
def reconciled(trace: bool, stack: bool = False) -> Iterator[tuple[Log, list[Reconciled]]]:
    """Records the reads inside and traces the device at the same time, then matches both.

    Args:
        trace: whether to trace; if not, the list stays empty.
        stack: whether to keep stacks, as for `record`.

    Yields:
        The log, and a list that contains the one result after the context. The list stays empty if this TensorFlow's
        traces cannot be read; the log's `unseen` then says so.

    Raises:
        RuntimeError: a profiler is running already.

    Warns:
        HostSyncWarning: the trace was lost, for example because the program stopped the profiler; the list is empty.
    """
    results: list[Reconciled] = []
    if not trace or lacking(TRACED_COPIES):
        with record(stack) as log:
            yield log, results
        return
    tracing = trace_copies()
    copies = tracing.__enter__()
    try:
        with record(stack) as log:
            yield log, results
    finally:
        try:
            tracing.__exit__(None, None, None)
            results.append(reconcile(log.reads, copies))
        except RuntimeError as error:
            warnings.warn(f"copies from the device were not counted: {error}", HostSyncWarning, stacklevel=3)


def reconcile(reads: Iterable[Read], copies: Sequence[Copy]) -> Reconciled:
    """Matches each read of a GPU's value with the earliest unmatched copy of the same device and size.

    Times are not compared: copies have times of the GPU's clock, which is synchronised with the host's only once, when
    the trace starts, and reads have no time. So among copies of one device and size, only the number of unexplained
    ones is known, not which they are; and a copy can stand in for a read's own copy that the trace lost.

    Every read and every copy is counted once.

    Args:
        reads: reads, in any order.
        copies: copies, in any order.
    """
    python_only = uncopied = 0
    waiting: collections.Counter[tuple[str, int]] = collections.Counter()  # reads, by device and bytes
    for read in reads:
        if read.device.startswith("CPU"):
            python_only += 1
        elif read.nbytes:
            waiting[read.device, read.nbytes] += 1
        else:
            uncopied += 1
    unexplained = []
    for copy in sorted(copies, key=lambda copy: copy.started):
        kind = copy.device, copy.nbytes
        if waiting[kind]:
            waiting[kind] -= 1
        else:
            unexplained.append(copy)
    return Reconciled(
        matched=len(copies) - len(unexplained),
        unexplained=tuple(unexplained),
        python_only=python_only,
        uncopied=uncopied + waiting.total(),
    )
