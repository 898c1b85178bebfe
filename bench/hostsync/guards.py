"""Guards against host syncs: raise at the first one, warn once per line, or enforce a budget; mark intended reads."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, Literal, ParamSpec, TypeVar, get_args

from typing_extensions import Self

from loop_bench.errors import HostSyncError, HostSyncWarning, add_note
from loop_bench.hostsync.callsite import CallSite, call_site
from loop_bench.hostsync.log import Log, Site, by_site
from loop_bench.hostsync.recorder import ALLOWED, Observer, observed, record, short_device, warn_unseen
from loop_bench.hostsync.tracing import TracedSite, by_function
from loop_bench.source import is_cell, place, shorter

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

Mode = Literal["allow", "log", "disallow"]

_guards: list[Guard] = []


def guard(mode: Mode) -> Context[Guard]:
    """Guards the reads inside a context or a decorated function.

    A guard applies to all threads that have no guard of their own, because a read stalls the device whichever thread
    makes it. Of nested guards the innermost decides. `hostsync.allow` permits single reads.

    Modelled on `jax.transfer_guard` (https://docs.jax.dev/en/latest/transfer_guard.html).

    Args:
        mode: "disallow" raises HostSyncError at the first read, before it happens; "log" warns once for each line;
            "allow" permits the reads of its own thread inside a stricter guard.

    Raises:
        HostSyncError: a read, with its line and route. If it cannot be raised at the read itself, it is raised on
            leaving the guard: for a read in another thread, even if that thread has caught it, and for a read by
            `memoryview(t)` and the like, which see a SystemError first because no Python exception passes CPython's
            buffer slot.
        ValueError: an unknown mode.

    Warns:
        HostSyncWarning: reads that the guard cannot see, as for `record`.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"guard({mode!r}): must be one of {', '.join(get_args(Mode))}")
    return Context(lambda: Guard(mode))


class Guard(Observer):
    """A guard that can be entered once; see `guard`.

    Attributes:
        refused: number of reads that the guard has prevented.
    """

    def __init__(self, mode: Mode) -> None:
        self.refused = 0
        self._mode = mode
        self._thread = threading.get_ident()
        self._warned: set[tuple[str, int]] = set()
        # Errors that did not reach the guarded code, by thread and tensor.
        self._not_raised: dict[tuple[int, int], Exception] = {}
        self._observed = observed(self)

    def __enter__(self) -> Self:
        warn_unseen(stacklevel=4)
        self._observed.__enter__()
        _guards.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _guards.remove(self)
        self._observed.__exit__(None, None, None)
        for missed in self._not_raised.values():
            if error is None or isinstance(error, SystemError):  # CPython's error for a refused buffer
                raise missed from error
            if error is not missed:
                add_note(error, f"also, not raised where it happened: {missed}")

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        """Raises or warns if this guard decides in the current thread and the read is not allowed."""
        if self is not _deciding() or self._mode == "allow" or ALLOWED.get() is not None:
            return
        attempt = threading.get_ident(), id(tensor)
        try:
            self._object(tensor, route, call_site())
        except (HostSyncError, HostSyncWarning) as error:
            self.refused += attempt not in self._not_raised  # NumPy retries a refused read by another route
            if raises and self.is_of(attempt[0]):
                self._not_raised.pop(attempt, None)
            else:
                self._not_raised[attempt] = error
            raise

    def _object(self, tensor: Any, route: str | None, site: CallSite) -> None:
        if self._mode == "log":
            if (site.file, site.line) in self._warned:
                return
            self._warned.add((site.file, site.line))
        how = route or site.route or "a read"
        what = f"{how} of a {tensor.dtype.name} tensor {tensor.shape} on {short_device(tensor)}"
        if by := site.library:
            what += f", read by {by.function} in {place(by.file, by.line)}"
        source = f": {site.source}" if site.source else ""
        if self._mode == "disallow":
            raise HostSyncError(f"{_at(site)}: host sync: {what}{source}")
        warnings.warn_explicit(f"host sync: {what}{source}", HostSyncWarning, site.file, site.line)

    @property
    def for_others(self) -> bool:
        """Whether the guard applies to threads that have none of their own."""
        return self._mode != "allow"

    def is_of(self, thread: int) -> bool:
        """Whether the guard was entered in this thread."""
        return self._thread == thread


def _at(site: CallSite | Site | TracedSite) -> str:
    """Place of a site, with the full path so that an editor can open it; a notebook's cell has no path."""
    return place(site.file, site.line) if is_cell(shorter(site.file)) else f"{site.file}:{site.line}"


def _deciding() -> Guard | None:
    """The guard that decides in this thread: its innermost, or else the innermost of the other threads' strict ones."""
    thread = threading.get_ident()
    own = [guard for guard in _guards if guard.is_of(thread)]
    deciding = own or [guard for guard in _guards if guard.for_others]
    return deciding[-1] if deciding else None


def limit(reads: int) -> Context[Log]:
    """Limits the number of reads inside a context or a decorated function.

    Reads inside `hostsync.allow` do not count. Of nested limits, each counts all reads inside it.

    Args:
        reads: most reads that are allowed.

    Raises:
        HostSyncError: on leaving, if there were more reads, with the lines that made them; not if another exception
            is being raised.
        ValueError: `reads` is not a number of reads.
    """
    if not is_budget(reads):
        raise ValueError(f"limit({reads!r}): must be the number of reads allowed, such as limit(1)")
    return Context(lambda: _limited(reads))


def is_budget(reads: object) -> bool:
    """Whether a value is a valid budget: a whole number of reads, at least 0."""
    return isinstance(reads, int) and not isinstance(reads, bool) and reads >= 0


@contextlib.contextmanager
def _limited(reads: int) -> Iterator[Log]:
    with record() as log:
        yield log
    if problem := over(log, reads):
        raise HostSyncError(problem)


def over(log: Log, reads: int) -> str | None:
    """Message for a log that exceeds a budget of reads, not counting those marked as allowed; None: within it."""
    counted = [read for read in log.reads if read.allowed is None]
    if len(counted) <= reads:
        return None
    lines = [f"{site.reads} × {site.route} at {_at(site)}: {site.source}" for site in by_site(counted)]
    return _too_many(len(counted), "host sync", reads, lines)


def over_traces(log: Log, retraces: int) -> str | None:
    """Message for a log that exceeds a budget of retraces; None: within it.

    A function's first trace in the log is not a retrace, even if the function was traced before the log began.
    """
    counted = {site: min(site.again, site.traces - 1) for site in by_function(log.traces)}
    total = sum(counted.values())
    if total <= retraces:
        return None
    lines = [
        f"{count} × {site.function} at {_at(site)}: {'; '.join(site.why)}" for site, count in counted.items() if count
    ]
    return _too_many(total, "retrace", retraces, lines)


def _too_many(count: int, what: str, allowed: int, lines: list[str]) -> str:
    counted = f"{count} {what}{'s' if count > 1 else ''}"
    return "\n  ".join([f"{counted}, but at most {allowed} {'is' if allowed == 1 else 'are'} allowed", *lines])


def allow(reason: str) -> Context[None]:
    """Marks the reads inside as intended: guards permit them, limits do not count them, and logs give the reason.

    Applies to the thread, or the asyncio task, that enters it. Also a decorator.

    Args:
        reason: why the host must know the value here, such as "early stopping looks at the loss".

    Raises:
        ValueError: the reason is empty.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(f"allow({reason!r}): needs a reason, such as 'early stopping looks at the loss'")
    return Context(lambda: _allowed(reason))


@contextlib.contextmanager
def _allowed(reason: str) -> Iterator[None]:
    token = ALLOWED.set(reason)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # a generator may be closed in another context than its own
            ALLOWED.reset(token)


class Context(Generic[T]):
    """A context manager that can be reused and nested in itself, and that also decorates functions.

    Args:
        make: returns a new context manager, each time this one is entered.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[T]]) -> None:
        self._make = make
        self._entered: dict[int, list[AbstractContextManager[T]]] = {}  # by thread

    def __enter__(self) -> T:
        context = self._make()
        value = context.__enter__()
        self._entered.setdefault(threading.get_ident(), []).append(context)
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._entered[threading.get_ident()].pop().__exit__(kind, error, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorates a function so that it runs inside the context.

        Raises:
            TypeError: the function is async or a generator: its body runs after the call, outside the context.
        """
        for runs_later in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            if runs_later(function):
                name = getattr(function, "__qualname__", repr(function))
                raise TypeError(f"{name} runs after it was called: use the context inside it, not as its decorator")

        @functools.wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._make():
                return function(*args, **kwargs)

        return inside
