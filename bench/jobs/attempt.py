"""What a process owes the one that waits for a trial: its result, or one line that says why there is none.

It needs nothing but the core, for trials in environments in which nothing of ours is installed.
"""

from __future__ import annotations

import dataclasses
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from typing_extensions import Self

from loop_bench.errors import UsageError
from loop_bench.failure import LoopError, error_line, out_of_memory
from loop_bench.jobs.parent import SAYS
from loop_bench.writing import write_whole

REFUSED = 2
"""The exit code of a process that was asked for something wrong: a defect of the question, and no result.

It says what in its last line, which begins as SAYS has it: a program may end with any code of its own.
"""


class CrashError(Exception):
    """Raised by a trial's work to say itself, in words, what it died of."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """How the work of a trial ended in the process that did it."""

    ended: Literal["whole", "crashed"]
    why: str  # it crashed; empty if it did not
    seconds: float
    found: Any  # None of one that crashed

    @classmethod
    def of(cls, work: Callable[[], Any]) -> Self:
        """Does some work; what it dies of is its result.

        Raises:
            UsageError: it was asked for something wrong, such as a loop that does not exist: no result, and no retry.
        """
        started = time.monotonic()
        try:
            found = work()
        except UsageError as error:
            if not out_of_memory(error.__cause__):
                raise
            why = str(error)
        except (CrashError, LoopError) as error:
            why = str(error)
        except (Exception, SystemExit) as error:
            why = error_line(error)
        else:
            return cls("whole", "", time.monotonic() - started, found)
        return cls("crashed", why, time.monotonic() - started, None)


def leave(path: Path, result: Callable[[], str]) -> int:
    """Leaves a result in a file, whole or not at all; gives the exit code.

    A UsageError (no such loop, a full disk) says nothing about what was to be found out: it becomes the last line that
    the process prints, and no result.

    Args:
        path: of the file.
        result: does the work, and gives the file's text.
    """
    try:
        write_whole(path, result())
    except UsageError as error:
        traceback.print_exc(file=sys.stdout)  # for who wants more than the line
        print(f"{SAYS}{' '.join(str(error).splitlines())}", flush=True)
        return REFUSED
    return 0
