"""What a loop has failed with: which loop, in which of its calls, with what and where, in one line."""

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
"""What a loop that has trained too few batches is told."""


class LoopError(Exception):
    """A user's loop has failed; the message is one line, and `__cause__` is what the loop has raised.

    Args:
        call: which call of which loop.
        error: that it has raised.
    """

    line: str
    """What the loop has raised, as `error_line` has it."""

    def __init__(self, call: str, error: BaseException) -> None:
        super().__init__(f"{call} failed with {located(error)}")
        self.__cause__ = error
        self.line = error_line(error)

    @classmethod
    def told(cls, message: str, line: str = "") -> Self:
        """An error of a loop in another process, by its message there and what was raised there."""
        error = cls.__new__(cls)
        error.args, error.line = (message,), line or message
        return error


class FactoryError(LoopError, UsageError):
    """A loop cannot be built: as likely as not, of what was asked for."""


@contextlib.contextmanager
def blaming(call: str, kind: type[LoopError] = LoopError) -> Iterator[None]:
    """What is raised in here is a loop's fault; a UsageError says itself what is wrong.

    Args:
        call: which call of which loop, such as `loop 'a:b' (after): run()`.
        kind: of the error that is raised instead.

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
    """The exit code of what ends with an error: 4 for a broken record, 2 for wrong use, 1 for a loop that fails."""
    if isinstance(error, InvalidRecordError):
        return 4
    return 2 if isinstance(error, UsageError) else 1


def located(error: BaseException) -> str:
    """An error as one line with the user's line that it is from, and what can be done about it where that is known."""
    raised, op = origin(error)
    where = f", at {raised}" if raised else ""
    made = f" (op made at {op})" if op else ""
    return "; ".join(filter(None, [f"{error_line(error)}{where}{made}", _advice(error)]))


def _advice(error: BaseException) -> str:
    """What can be done about an error; empty where that is not known."""
    kind, message = type(error).__name__, str(error)
    if isinstance(error, StopIteration) or (kind == "OutOfRangeError" and "End of sequence" in message):
        return ENDLESS
    if isinstance(error, RuntimeError) and "devices cannot be modified after being initialized" in message:
        return "loops that share a process must configure the same devices, and before they start any"
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
"""How lines of TensorFlow's, AutoGraph's and Keras' messages begin that say where something happened, not what."""

_AMONG_ROOTS = re.compile(r"^\d+ root error\(s\) found\.$|^\(\d+\) [A-Z_]+: *")
"""Around the first of the errors that a graph ends with, if several of its branches fail."""

_BOLD = re.compile(r"\x1b\[\d*m")

_LONGEST = 400
"""Characters of a message that are kept in one line."""


def error_line(error: BaseException) -> str:
    """An error as one line, `TypeName: what happened`; TensorFlow begins its messages with where.

    A UsageError names what failed itself, and is its own message; a loop's error is what the loop has raised. An error
    without a message gets the name of the function that raised it.
    """
    if isinstance(error, LoopError) and not isinstance(error, UsageError):
        return error.line
    name, lines = type(error).__name__, _telling(str(error))
    if isinstance(error, UsageError) and lines:
        return lines[0]
    if lines:
        what = lines[0].removeprefix(f"{name}: ")  # AutoGraph repeats it
    else:
        frames = traceback.extract_tb(error.__traceback__)
        what = frames[-1].name if frames else ""
    return f"{name}: {what[:_LONGEST]}" if what else name


def _telling(message: str) -> list[str]:
    """The lines of a message that say what happened; all of them if none does."""
    lines = [line.strip() for line in _BOLD.sub("", message).splitlines()]
    if lines[:1] == ["in user code:"]:  # a line of source is below each place
        lines = [line for above, line in itertools.pairwise(lines) if not above.startswith('File "')]
    whats = [_AMONG_ROOTS.sub("", line) for line in lines if not line.startswith(_PLACES)]
    return [line for line in whats if line] or [line for line in lines if line]


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that memory ran out, of the host or of a device: nobody's mistake, and a result."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
