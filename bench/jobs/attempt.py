"""The end of a trial's work in its process: a result in a file, or one line that says why there is none.

It needs only the core of this package, for trials in environments in which this package is not installed.
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
"""Exit code of a process that refuses an invalid trial: an error of the caller, and no result.

The last line of its output begins with SAYS and says what is wrong: a program may end with any exit code of its own.
"""


class CrashError(Exception):
    """Raised by a trial's work to state in words why it crashed."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """How a trial's work ended, in the process that did it."""

    ended: Literal["whole", "crashed"]
    why: str  # reason of the crash; empty without one
    seconds: float
    found: Any  # None after a crash

    @classmethod
    def of(cls, work: Callable[[], Any]) -> Self:
        """Does the work; a crash is its result.

        Raises:
            UsageError: the work is invalid, for example its loop does not exist: no result, and no retry.
        """
        started = time.monotonic()
        try:
            finding = work()
        except UsageError as error:
            if not out_of_memory(error.__cause__):
                raise
            why = str(error)
        except (CrashError, LoopError) as error:
            why = str(error)
        except (Exception, SystemExit) as error:
            why = error_line(error)
        else:
            return cls("whole", "", time.monotonic() - started, finding)
        return cls("crashed", why, time.monotonic() - started, None)


def leave(path: Path, result: Callable[[], str]) -> int:
    """Writes a result to a file, whole or not at all; returns the exit code.

    A UsageError (no such loop, a full disk) is no result of the trial: the process prints it as its last line.

    Args:
        path: of the file.
        result: does the work, and returns the file's text.
    """
    try:
        write_whole(path, result())
    except UsageError as error:
        traceback.print_exc(file=sys.stdout)  # for readers who need more than one line
        print(f"{SAYS}{' '.join(str(error).splitlines())}", flush=True)
        return REFUSED
    return 0
