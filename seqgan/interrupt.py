"""Ctrl-C during training, handled between batches, when TensorFlow is not running."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType

from typing_extensions import Self

_NOTE = b"stopping after this batch; Ctrl-C again stops at once\n"


class Interrupt:
    """Defers a Ctrl-C until `check` is called; a second Ctrl-C is raised immediately, as Python does.

    TensorFlow 2.21 can turn a KeyboardInterrupt that is raised while it makes the result or the error of an eager op
    into another failure. Of 218 that were sent to training runs, one came back as a RuntimeError ("MISMATCH of
    original and normalized active exception types") and two ended the process by heap corruption; a loop of graph
    calls that is interrupted a few hundred times a second crashes with a segmentation fault within seconds.

    A process that ignores Ctrl-C, such as one that a shell runs in the background, continues to ignore it. Outside the
    main thread, which alone receives signals, this does nothing.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: signal._HANDLER = None  # None: the handler was not changed

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
        """Raises a deferred KeyboardInterrupt; to be called where the run may stop."""
        if self._asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        with contextlib.suppress(OSError):  # standard error may be closed
            # Not through sys.stderr, because the signal may have interrupted a write to it. A terminal shows ^C first.
            os.write(2, b"\n" * os.isatty(2) + _NOTE)
