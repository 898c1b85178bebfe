"""Errors of a user's loop as one line: which loop failed, in which call, with what error, and where."""

from __future__ import annotations

import contextlib
import itertools
import re
import traceback
from collections.abc import Iterator

from typing_extensions import Self

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.origin import origin

ENDLESS = "the data of a loop must not end: repeat them (tf.data: repeat())"
"""Advice on a loop that has trained too few batches."""


class LoopError(Exception):
    """A user's loop has failed; the message is one line, and `__cause__` is what the loop has raised.

    Args:
        call: the loop and its call, such as `loop 'a:b' (after): run()`.
        error: that the call has raised.
    """

    line: str
    """The error of the loop, formatted by `error_line`."""

    def __init__(self, call: str, error: BaseException) -> None:
        super().__init__(f"{call} failed with {located(error)}")
        self.__cause__ = error
        self.line = error_line(error)

    @classmethod
    def told(cls, message: str, line: str = "") -> Self:
        """Makes the error of a loop in another process, from its message and the loop's own error there."""
        error = cls.__new__(cls)
        error.args, error.line = (message,), line or message
        return error


class FactoryError(LoopError, UsageError):
    """A loop cannot be built, most likely because of its options."""


@contextlib.contextmanager
def blaming(call: str, kind: type[LoopError] = LoopError) -> Iterator[None]:
    """Blames a loop for what is raised inside; a UsageError passes, because it says itself what is wrong.

    Args:
        call: the loop and its call, such as `loop 'a:b' (after): run()`.
        kind: of the error to raise.

    Raises:
        LoopError: the loop has failed.
    """
    try:
        yield
    except (UsageError, LoopError):
        raise
    except (Exception, SystemExit) as error:
        raise kind(call, error) from error


def exit_code(error: Exception) -> int:
    """The exit code for an error: 4 for an invalid record, 2 for wrong usage, 1 for a loop that fails."""
    if isinstance(error, InvalidRecordError):
        return 4
    return 2 if isinstance(error, UsageError) else 1


def located(error: BaseException) -> str:
    """Formats an error as one line, with the user's line that it comes from, and with advice where there is some."""
    raised, op = origin(error)
    where = f", at {raised}" if raised else ""
    made = f" (op made at {op})" if op else ""
    return "; ".join(filter(None, [f"{error_line(error)}{where}{made}", _advice(error)]))


def _advice(error: BaseException) -> str:
    """Advice on an error; empty where there is none."""
    kind, message = type(error).__name__, str(error)
    if isinstance(error, StopIteration) or (kind == "OutOfRangeError" and "End of sequence" in message):
        return ENDLESS
    if isinstance(error, RuntimeError) and "devices cannot be modified after being initialized" in message:
        return "loops that share a process must configure the same devices, before any device is started"
    return ""


_PLACES = (
    "Graph execution error",
    "Detected at node",
    "<stack traces",
    'File "',
    "[[{{",
    "[Op:",
    "in user code:",
    "Exception encountered when calling",
)
"""Prefixes of message lines of TensorFlow, AutoGraph and Keras that say where something happened, not what."""

_AMONG_ROOTS = re.compile(r"^\d+ root error\(s\) found\.$|^\(\d+\) [A-Z_]+: *")
"""Text before the first error of a graph, if several of its branches fail."""

_BOLD = re.compile(r"\x1b\[\d*m")

_LONGEST = 400
"""Largest number of characters of a message that one line keeps."""


def error_line(error: BaseException) -> str:
    """Formats an error as one line, `TypeName: what happened`; TensorFlow's own messages begin with places.

    A UsageError is its own message, because it names what failed; a loop's error is what the loop has raised. An error
    without a message gets the name of the function that raised it.
    """
    if isinstance(error, LoopError) and not isinstance(error, UsageError):
        return error.line
    name, lines = type(error).__name__, _causes(str(error))
    if isinstance(error, UsageError) and lines:
        return lines[0]
    if lines:
        what = lines[0].removeprefix(f"{name}: ")  # AutoGraph repeats the type
    else:
        frames = traceback.extract_tb(error.__traceback__)
        what = frames[-1].name if frames else ""
    return f"{name}: {what[:_LONGEST]}" if what else name


def _causes(message: str) -> list[str]:
    """The lines of a message that say what happened; all lines if none does."""
    lines = [line.strip() for line in _BOLD.sub("", message).splitlines()]
    if lines[:1] == ["in user code:"]:  # each place is followed by a line of source
        lines = [line for above, line in itertools.pairwise(lines) if not above.startswith('File "')]
    causes = [_AMONG_ROOTS.sub("", line) for line in lines if not line.startswith(_PLACES)]
    return [line for line in causes if line] or [line for line in lines if line]


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error means that memory ran out, of the host or of a device: a result, and not a mistake."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
