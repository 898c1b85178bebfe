"""The process of one trial: `python -m loop_bench.jobs.process MODULE:CLASS TRIAL RESULT`; nothing imports it."""

from __future__ import annotations

import contextlib
import os
import pkgutil
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from loop_bench.document import write_whole
from loop_bench.errors import UsageError
from loop_bench.jobs.pool import REFUSED, SAYS
from loop_bench.jobs.trial import Trial, attempt


def die_with_parent() -> None:
    """Ends this process when the one that started it is gone.

    That one holds the other end of standard input, and the system closes it however it dies.
    """

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock would be held when Python ends
            pass
        if os.getpgrp() == os.getpid():  # begun by the pool, in a group of its own: with all that it has started
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def die_first(score: Path = Path("/proc/self/oom_score_adj")) -> None:
    """Has the system, when memory runs out, end this process and not one of those that wait for it."""
    with contextlib.suppress(OSError):  # there is no such file but on Linux
        score.write_text("1000")


def main(arguments: list[str]) -> int:
    """Tries what the arguments say, and leaves the result in a file, whole or not at all; gives the exit code.

    A UsageError (no such loop, a full disk) says nothing about what was to be found out: it becomes the last line that
    the process prints, and no result.
    """
    name, text, path = arguments
    trial: Trial[Any] = pkgutil.resolve_name(name).model_validate_json(text)
    try:
        write_whole(Path(path), attempt(trial).model_dump_json() + "\n")
    except UsageError as error:
        traceback.print_exc(file=sys.stdout)  # for who wants more than the line
        print(f"{SAYS}{' '.join(str(error).splitlines())}", flush=True)
        return REFUSED
    return 0


if __name__ == "__main__":
    die_with_parent()  # before TensorFlow starts, which takes seconds
    die_first()
    code = main(sys.argv[1:])
    os._exit(code)  # the result is there: what TensorFlow does when Python ends can only spoil it
