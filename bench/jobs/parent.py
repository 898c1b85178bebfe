"""A child process's duties to its parent: to end with it, to be killed first when memory runs out, to report errors."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import NoReturn

SAYS = "error: "
"""Prefix of the last line of a process that says itself why it has failed."""


def die_with_parent() -> None:
    """Ends this process when its parent is gone.

    The parent holds the other end of standard input, which the system closes however the parent dies.
    """

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock would be held when Python ends
            pass
        die()

    threading.Thread(target=watch, daemon=True).start()


def die() -> NoReturn:
    """Ends this process and, if it leads a process group of its own, everything that it has started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def die_first(score: Path = Path("/proc/self/oom_score_adj")) -> None:
    """Makes the system kill this process first when memory runs out, not one of those that wait for it."""
    with contextlib.suppress(OSError):  # the file exists on Linux only
        score.write_text("1000")
