"""No host sync unnoticed: raise at the first one, warn of each line, or hold a budget."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, get_args

from bench.hostsync.allowed import reason
from bench.hostsync.callsite import CallSite, call_site
from bench.hostsync.errors import HostSyncError, HostSyncWarning
from bench.hostsync.graphs import HostOp
from bench.hostsync.read import Log, Read
from bench.hostsync.recorder import record
from bench.hostsync.sites import by_site
from bench.hostsync.watching import observed, short_device

Mode = Literal["allow", "log", "disallow"]


class guard(contextlib.ContextDecorator):  # noqa: N801  (used like a function, as contextlib.suppress is)
    """Watches over the reads inside, as a context or as a decorator of a function.

    It holds for all threads, for a read stalls the device whichever thread makes it. Of guards in one another the
    innermost decides. `hostsync.allow` lets single reads pass.

    Modelled on `jax.transfer_guard` (https://docs.jax.dev/en/latest/transfer_guard.html).

    Args:
        mode: "disallow" raises HostSyncError at the first read, before it happens; "log" warns once for each line;
            "allow" does nothing, inside a guard that does.

    Raises:
        HostSyncError: a read, with its line and route. Where it cannot be raised at the read itself, it is raised on
            leaving the guard: a read in another thread, and one by `memoryview(t)` and its like, which see a
            SystemError first because no exception passes CPython's buffer slot from Python.
        ValueError: a mode that there is not.
    """

    def __init__(self, mode: Mode) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"guard mode {mode!r}: must be one of {', '.join(get_args(Mode))}")
        self._mode = mode
        self._entered: list[_Guard] = []  # a decorated function may call itself

    def __enter__(self) -> Self:
        entered = _Guard(self._mode)
        entered.enter()
        self._entered.append(entered)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered.pop().leave(error)


class _Guard:
    """A guard that has been entered."""

    wants_stack = False

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._thread = threading.get_ident()
        self._warned: set[tuple[str, int]] = set()
        self._not_raised: dict[int, Exception] = {}  # by thread: errors that did not reach the guarded code
        self._observed = observed(self)

    def enter(self) -> None:
        self._observed.__enter__()
        _guards.append(self)

    def leave(self, error: BaseException | None) -> None:
        _guards.remove(self)
        self._observed.__exit__(None, None, None)
        if isinstance(error, HostSyncError | HostSyncWarning):
            return
        for missed in self._not_raised.values():
            raise missed from error

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        if _guards[-1:] != [self] or self._mode == "allow" or reason() is not None:
            return
        thread = threading.get_ident()
        self._not_raised.pop(thread, None)  # NumPy has come back by another way
        try:
            self._object(tensor, route, call_site())
        except (HostSyncError, HostSyncWarning) as error:
            if not raises or thread != self._thread:
                self._not_raised[thread] = error
            raise

    def _object(self, tensor: Any, route: str | None, site: CallSite) -> None:
        how = route or site.route or "a read"
        what = f"{how} of a {tensor.dtype.name} tensor {tensor.shape} on {short_device(tensor)}"
        source = f": {site.source}" if site.source else ""
        if self._mode == "disallow":
            raise HostSyncError(f"{site.file}:{site.line}: host sync: {what}{source}")
        if (site.file, site.line) not in self._warned:
            self._warned.add((site.file, site.line))
            warnings.warn_explicit(f"host sync: {what}{source}", HostSyncWarning, site.file, site.line)

    def after(self, read: Read) -> None:
        pass

    def traced(self, found: Sequence[HostOp]) -> None:
        pass


@contextlib.contextmanager
def limit(reads: int) -> Iterator[Log]:
    """A budget: so many reads inside, and no more; as a context or as a decorator.

    Reads inside `hostsync.allow` do not count.

    Args:
        reads: how many are fine.

    Raises:
        HostSyncError: on leaving, when there were more, with the lines that made them. Not on top of an exception.
    """
    with record() as log:
        yield log
    if problem := over(log, reads):
        raise HostSyncError(problem)


def over(log: Log, reads: int) -> str | None:
    """What is to be said of a log with more than so many reads that are not marked as allowed; None within."""
    counted = [read for read in log.reads if read.allowed is None]
    if len(counted) <= reads:
        return None
    lines = [f"{site.reads} × {site.route} at {site.file}:{site.line}: {site.source}" for site in by_site(counted)]
    return "\n  ".join([f"{len(counted)} host syncs, {reads} allowed:", *lines])


_guards: list[_Guard] = []
