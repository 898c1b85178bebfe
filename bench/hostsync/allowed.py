"""Reads that are meant."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from bench.hostsync.context import Context

_REASON: contextvars.ContextVar[str | None] = contextvars.ContextVar("allowed host syncs", default=None)


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
    token = _REASON.set(reason)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # a generator that another context has ended
            _REASON.reset(token)


def reason() -> str | None:
    """Why reads are allowed right now; None where they are not marked."""
    return _REASON.get()
