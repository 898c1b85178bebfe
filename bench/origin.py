"""The user's line that an error comes from, whether it was raised in Python, in tracing, or in a running graph."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from loop_bench import source

_IN_MESSAGE = re.compile(r'File "([^"]+)", line (\d+)')
_TRACED, _EXECUTED, _NODE = "in user code:", "Graph execution error:", "Detected at node"
"""Prefixes of TensorFlow's messages that name lines: of a function that fails while it is traced, and of an op that
fails while its graph runs; and the prefix of each op's lines in the latter."""


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return source.place(self.file, self.line)


class Origin(NamedTuple):
    """The places that an error comes from."""

    raised: Place | None  # the user's innermost line in the traceback; None: unknown
    op: Place | None = None  # where the op that failed in a graph was created, if that is another line


def origin(error: BaseException) -> Origin:
    """Finds the user's lines that an error comes from.

    For a function that fails while it is traced, the traceback shows only generated files, and for an op that fails in
    a graph only the call: the lines in TensorFlow's message are used then. Where no line is the user's, as when the
    loop is an installed package, it is the innermost line of the package that was called.
    """
    frames = [Place(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    raised, message = _innermost(frames, _is_users), str(error).lstrip()
    if message.startswith(_TRACED):
        return Origin(_innermost(_named(message), _is_users) or raised or _of_package(frames))
    op = None
    if message.startswith(_EXECUTED):
        first = message.split(_NODE)[1:2]  # several ops may have failed; the others come after it
        op = _innermost(_named(first[0] if first else ""), _is_users)
    raised = raised or _of_package(frames)
    return Origin(raised, op if op != raised else None)


def _is_users(file: str) -> bool:
    return source.is_users(file) and not Path(file).name.startswith(source.GENERATED)


def _named(message: str) -> list[Place]:
    return [Place(file, int(line)) for file, line in _IN_MESSAGE.findall(message)]


def _innermost(places: Iterable[Place], belongs: Callable[[str], bool]) -> Place | None:
    return next((place for place in reversed([*places]) if belongs(place.file)), None)


def _of_package(frames: Iterable[Place]) -> Place | None:
    """The innermost line of the package that was called, to which the first line in an installed package belongs."""
    installed = [place for place in frames if source.is_installed(place.file)]
    package = source.package_of(installed[0].file) if installed else ""
    return _innermost(installed, lambda file: source.package_of(file) == package)
