"""Reads that Python saw, held against the copies that a trace shows."""

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
    """Which reads and copies belong together, and what is left of either."""

    matched: int  # pairs of a read and a copy
    unexplained: tuple[Copy, ...]  # copies that no recorded read explains, in the order in which they started
    python_only: int  # reads of values that were on the host already, which take no copy
    uncopied: int  # reads of a device's values without a copy: DLPack exports, events that the trace lost

    @property
    def unexplained_nbytes(self) -> int:
        """Bytes of the copies that no recorded read explains."""
        return sum(copy.nbytes for copy in self.unexplained)


@contextlib.contextmanager
def reconciled(trace: bool, stack: bool = False) -> Iterator[tuple[Log, list[Reconciled]]]:
    """Records, and traces the same stretch.

    Args:
        trace: whether to; without, the list stays empty.
        stack: as `record` has it.

    Yields:
        The log, and a list that has the one result after the context; none where this TensorFlow's traces cannot be
        read, which is among what the log says is unseen.

    Raises:
        RuntimeError: a profiler is running already.

    Warns:
        HostSyncWarning: the trace was lost, because the program has stopped the profiler, say; the list is empty.
    """
    found: list[Reconciled] = []
    if not trace or lacking(TRACED_COPIES):
        with record(stack) as log:
            yield log, found
        return
    tracing = trace_copies()
    copies = tracing.__enter__()
    try:
        with record(stack) as log:
            yield log, found
    finally:
        try:
            tracing.__exit__(None, None, None)
            found.append(reconcile(log.reads, copies))
        except RuntimeError as error:
            warnings.warn(f"copies are not known: {error}", HostSyncWarning, stacklevel=3)


def reconcile(reads: Iterable[Read], copies: Sequence[Copy]) -> Reconciled:
    """Matches each read of a GPU's value with the earliest copy of that device and size that has no read yet.

    When things happened is not compared: copies are stamped by the GPU's clock, which is tied to the host's only once,
    as the trace starts, and a read does not say when it was. So of copies of the same device and size it is known how
    many no read explains, and not which ones; and one of them can stand in for a read's own that the trace lost.

    Every read and every copy is counted, once.

    Args:
        reads: in any order.
        copies: in any order.
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
