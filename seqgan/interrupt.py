"""Ctrl-C during training: answered between batches, where TensorFlow is not at work."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType

from typing_extensions import Self

_NOTE = b"stopping after this batch; Ctrl-C again stops at once\n"


class Interrupt:
    """Keeps a Ctrl-C until `check` is called; a second one is raised where it comes, as Python does.

    A KeyboardInterrupt that Python raises while TensorFlow 2.21 makes the result of an eager op, or its error, is not
    always one. Of 218 that were sent to training runs, one came back as a RuntimeError ("MISMATCH of original and
    normalized active exception types") and two ended the process by heap corruption; a loop of graph calls that is
    interrupted a few hundred times a second dies of a segmentation fault within seconds.

    A process that ignores Ctrl-C, such as one that a shell has put into the background, goes on ignoring it. Outside
    the main thread, which alone receives signals, this does nothing.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: signal._HANDLER = None  # None: nothing was changed

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if handler not in (None, signal.SIG_IGN):
                self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raises the KeyboardInterrupt that was asked for; to be called where the run may stop."""
        if self._asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        with contextlib.suppress(OSError):  # standard error may be closed
            # Not sys.stderr, in a write of which the signal may have come. A terminal has its ^C in the line.
            os.write(2, b"\n" * os.isatty(2) + _NOTE)
