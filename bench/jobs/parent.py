"""What a process owes the one that has started it: to end with it, to go first when memory runs out, to say why not."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import NoReturn

SAYS = "error: "
"""How the last line begins of a process that says itself why it cannot do what it was begun for."""


def die_with_parent() -> None:
    """Ends this process when the one that started it is gone.

    That one holds the other end of standard input, and the system closes it however it dies.
    """

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock would be held when Python ends
            pass
        die()

    threading.Thread(target=watch, daemon=True).start()


def die() -> NoReturn:
    """Ends this process; where it has been begun in a group of its own, with all that it has started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def die_first(score: Path = Path("/proc/self/oom_score_adj")) -> None:
    """Has the system, when memory runs out, end this process and not one of those that wait for it."""
    with contextlib.suppress(OSError):  # there is no such file but on Linux
        score.write_text("1000")
