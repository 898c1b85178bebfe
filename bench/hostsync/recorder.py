"""The recorder of host reads."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from bench.hostsync.errors import HostSyncWarning
from bench.hostsync.graphs import HostOp
from bench.hostsync.log import Log, Read
from bench.hostsync.watching import observed, unseen


@contextlib.contextmanager
def record(stack: bool = False) -> Iterator[Log]:
    """Records every read of a tensor by the host, in all threads, while the context lasts.

    Recorders nest; each sees what happens inside it. When the last one is left, by an exception too, TensorFlow is
    exactly as it was. What the program computes is the same bit for bit. One thing is not: `memoryview(t)` and its like
    raise SystemError in place of ValueError or BufferError for tensors that have no buffer, such as bfloat16, for no
    exception passes CPython's buffer slot from Python.

    The log keeps each read, some 300 bytes, more with `stack`.

    Args:
        stack: whether each read keeps all the frames that led to it, those of libraries too.

    Warns:
        HostSyncWarning: on entry, where a route cannot be seen with this build of Python; `log.unseen` names it.
    """
    log = Log(unseen())
    for route in log.unseen:
        warnings.warn(f"reads by {route}: they are not recorded", HostSyncWarning, stacklevel=3)
    started = time.perf_counter()
    try:
        with observed(_Recorder(log, stack)):
            yield log
    finally:
        log.seconds = time.perf_counter() - started


class _Recorder:
    def __init__(self, log: Log, stack: bool) -> None:
        self.wants_stack = stack
        self._log = log

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        pass

    def after(self, read: Read) -> None:
        self._log.reads.append(read)

    def traced(self, found: Sequence[HostOp]) -> None:
        self._log.host_ops.extend(found)
