"""No host sync unnoticed: raise at the first one, warn of each line, or hold a budget; and let pass what is meant."""

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
from loop_bench.hostsync.recorder import ALLOWED, Observer, observed, record, short_device, tell_unseen
from loop_bench.hostsync.tracing import TracedSite, by_function
from loop_bench.source import is_cell, place, shorter

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

Mode = Literal["allow", "log", "disallow"]

_guards: list[Guard] = []


def guard(mode: Mode) -> Context[Guard]:
    """Watches over the reads inside, as a context or as a decorator of a function.

    It holds for all threads without a guard of their own, for a read stalls the device whichever thread makes it. Of
    guards in one another the innermost decides. `hostsync.allow` lets single reads pass.

    Modelled on `jax.transfer_guard` (https://docs.jax.dev/en/latest/transfer_guard.html).

    Args:
        mode: "disallow" raises HostSyncError at the first read, before it happens; "log" warns once for each line;
            "allow" lets reads of its own thread pass, inside a guard that does not.

    Raises:
        HostSyncError: a read, with its line and route. Where it cannot be raised at the read itself, it is raised on
            leaving the guard: a read in another thread, whether or not that has caught it, and one by `memoryview(t)`
            and its like, which see a SystemError first because no exception passes CPython's buffer slot from Python.
        ValueError: a mode that there is not.

    Warns:
        HostSyncWarning: as `record` has it, of reads that the guard cannot see.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"guard({mode!r}): must be one of {', '.join(get_args(Mode))}")
    return Context(lambda: Guard(mode))


class Guard(Observer):
    """A guard, to be entered once; see `guard`.

    Attributes:
        refused: how many reads it has kept from happening.
    """

    def __init__(self, mode: Mode) -> None:
        self.refused = 0
        self._mode = mode
        self._thread = threading.get_ident()
        self._warned: set[tuple[str, int]] = set()
        # By thread and tensor: errors that did not reach the guarded code.
        self._not_raised: dict[tuple[int, int], Exception] = {}
        self._observed = observed(self)

    def __enter__(self) -> Self:
        tell_unseen(stacklevel=4)
        self._observed.__enter__()
        _guards.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _guards.remove(self)
        self._observed.__exit__(None, None, None)
        for missed in self._not_raised.values():
            if error is None or isinstance(error, SystemError):  # which is how a refused buffer looks
                raise missed from error
            if error is not missed:
                add_note(error, f"and not raised where it happened: {missed}")

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        """Objects, if it is this guard that decides here."""
        if self is not _deciding() or self._mode == "allow" or ALLOWED.get() is not None:
            return
        attempt = threading.get_ident(), id(tensor)
        try:
            self._object(tensor, route, call_site())
        except (HostSyncError, HostSyncWarning) as error:
            self.refused += attempt not in self._not_raised  # else NumPy has come back by another way
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
        """Whether it decides for threads without a guard of their own."""
        return self._mode != "allow"

    def is_of(self, thread: int) -> bool:
        """Whether it was entered in a thread."""
        return self._thread == thread


def _at(site: CallSite | Site | TracedSite) -> str:
    """Where it is, with the whole path, which an editor can open; a notebook's cell has none."""
    return place(site.file, site.line) if is_cell(shorter(site.file)) else f"{site.file}:{site.line}"


def _deciding() -> Guard | None:
    """The innermost guard of this thread; in one without, the innermost of another that is none to let reads pass."""
    thread = threading.get_ident()
    own = [guard for guard in _guards if guard.is_of(thread)]
    deciding = own or [guard for guard in _guards if guard.for_others]
    return deciding[-1] if deciding else None


def limit(reads: int) -> Context[Log]:
    """A budget: so many reads inside, and no more; as a context or as a decorator.

    Reads inside `hostsync.allow` do not count. Of limits in one another each counts all that is inside it.

    Args:
        reads: how many are fine.

    Raises:
        HostSyncError: on leaving, when there were more, with the lines that made them. Not on top of an exception.
        ValueError: that is not a number of reads.
    """
    if not is_budget(reads):
        raise ValueError(f"limit({reads!r}): wants how many reads are fine, such as limit(1)")
    return Context(lambda: _limited(reads))


def is_budget(reads: object) -> bool:
    """Whether it is a number of reads."""
    return isinstance(reads, int) and not isinstance(reads, bool) and reads >= 0


@contextlib.contextmanager
def _limited(reads: int) -> Iterator[Log]:
    with record() as log:
        yield log
    if problem := over(log, reads):
        raise HostSyncError(problem)


def over(log: Log, reads: int) -> str | None:
    """What is to be said of a log with more than so many reads that are not marked as allowed; None within."""
    counted = [read for read in log.reads if read.allowed is None]
    if len(counted) <= reads:
        return None
    lines = [f"{site.reads} × {site.route} at {_at(site)}: {site.source}" for site in by_site(counted)]
    return _too_many(len(counted), "host sync", reads, lines)


def over_traces(log: Log, retraces: int) -> str | None:
    """What is to be said of a log with more retraces than so many; None within.

    The first trace in the log is none, whatever was traced before it began.
    """
    counted = {each: min(each.again, each.traces - 1) for each in by_function(log.traces)}
    again = sum(counted.values())
    if again <= retraces:
        return None
    lines = [
        f"{count} × {each.function} at {_at(each)}: {'; '.join(each.why)}" for each, count in counted.items() if count
    ]
    return _too_many(again, "retrace", retraces, lines)


def _too_many(count: int, what: str, fine: int, lines: list[str]) -> str:
    made = f"{count} {what}{'s' if count > 1 else ''}"
    return "\n  ".join([f"{made}, where {fine} {'is' if fine == 1 else 'are'} fine", *lines])


def allow(reason: str) -> Context[None]:
    """Marks the reads inside as meant: a guard lets them pass, a limit does not count them, a record names the reason.

    It holds for the thread (and the asyncio task) that enters it. Also a decorator.

    Args:
        reason: why the host must know the value here, such as "early stopping looks at the loss".

    Raises:
        ValueError: no reason is given.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(f"allow({reason!r}): wants a reason, such as 'early stopping looks at the loss'")
    return Context(lambda: _allowed(reason))


@contextlib.contextmanager
def _allowed(reason: str) -> Iterator[None]:
    token = ALLOWED.set(reason)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # a generator that another context has ended
            ALLOWED.reset(token)


class Context(Generic[T]):
    """A context that can be entered again, also inside itself, and that decorates functions.

    Args:
        make: a context for each time that it is entered.
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
        """The function inside the context.

        Raises:
            TypeError: it is async or a generator: what it does happens after the call, outside of the context.
        """
        for later in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            if later(function):
                name = getattr(function, "__qualname__", repr(function))
                raise TypeError(f"{name} runs after it was called: use the context inside it, not as its decorator")

        @functools.wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._make():
                return function(*args, **kwargs)

        return inside
