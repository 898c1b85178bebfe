"""The process that forks: it imports, and then does what `forkserver.py` asks of it.

python -m loop_bench.jobs.forkserver_process DESCRIPTOR MODULE...
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

LONGEST = 2**20
"""Bytes of a message."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class _Server:
    """What the process that forks does."""

    def __init__(self, talk: socket.socket) -> None:
        self._talk = talk
        self._temporary: str | None = None  # folder for the temporary files of all processes
        self._statuses: dict[int, int] = {}  # files in which the codes of processes that live are awaited
        self._selector = selectors.DefaultSelector()
        self._selector.register(talk, selectors.EVENT_READ)
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        os.set_blocking(woken, False)
        self._woken, self._waking = woken, waking
        self._selector.register(woken, selectors.EVENT_READ)
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Schedulers send it to all processes of a job. This one ends with the run, and cleans up before.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def serve(self) -> list[str] | None:
        """Forks what it is asked for; gives the arguments in a process that was forked, None when nobody asks more."""
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._woken:
                    os.read(self._woken, 1024)
                    self._reap()
                    continue
                try:
                    message, files, *_ = socket.recv_fds(self._talk, LONGEST, 16)
                except ConnectionError:  # who has asked was ended before it had read the answer
                    message = b""
                if not message:
                    self._end()
                    return None
                asked: dict[str, Any] = json.loads(message)
                if "kill" in asked:
                    self._kill(asked["kill"])
                elif "signal" in asked:
                    self._signal(asked["to"], asked["signal"])
                elif "ready" in asked:
                    self._answer(0)
                elif not (pid := self._fork(files)):
                    os.environ.update(asked["environment"])
                    if asked["folder"]:
                        os.chdir(asked["folder"])
                    given = files[len(files) - asked["given"] :]
                    return [*asked["start"], *map(str, given)]
                else:
                    self._answer(pid)

    def _answer(self, number: int) -> None:
        with contextlib.suppress(ConnectionError):  # who has asked is gone
            self._talk.send(str(number).encode())

    def _end(self) -> None:
        """Nobody is there any more to want the processes; and one that holds Python's lock would not notice itself."""
        for pid in self._statuses:
            self._kill(pid)
        for pid in self._statuses:  # who has left the server may count on their files being free
            os.waitpid(pid, 0)
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _fork(self, files: list[int]) -> int:
        stdin, output, status, *_ = files
        server = os.getpid()
        if self._temporary is None:  # not before: a server that is still importing is killed
            self._temporary = tempfile.mkdtemp(prefix="loop-bench-")
        pid = os.fork()
        # A group of its own, made by both: whoever comes first, it is there before anybody can want to end it.
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        if pid:
            for file in set(files) - {status}:
                os.close(file)
            self._statuses[pid] = status
            return pid
        # When the server is killed, nobody else is there to end what holds Python's lock.
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != server:
            os._exit(1)
        # By its number, and not what this returns: since Python 3.12, asyncio takes it away itself after a fork.
        signal.set_wakeup_fd(-1)
        os.close(self._waking)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        self._talk.close()
        # Processes are killed, or end without Python's ending: what AutoGraph, for one, would remove then would stay.
        os.environ["TMPDIR"] = tempfile.tempdir = self._temporary
        os.dup2(stdin, 0)
        for stream in (1, 2):
            os.dup2(output, stream)
        # What kills it must not take its last words.
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        if numpy_random := sys.modules.get("numpy.random"):
            numpy_random.seed()  # as Python's own generator is after a fork: draws without a seed are its own
        for file in (*self._statuses.values(), self._woken, stdin, output, status):
            os.close(file)
        return 0

    def _kill(self, pid: int) -> None:
        if pid in self._statuses:  # not reaped, so that nobody else can have the number
            with contextlib.suppress(ProcessLookupError):  # it has moved to another group
                os.killpg(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)

    def _signal(self, pid: int, number: int) -> None:
        if pid in self._statuses:
            os.kill(pid, number)

    def _reap(self) -> None:
        while self._statuses and (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
            self._kill(ended.si_pid)  # what it has started must not outlive it
            _, code = os.waitpid(ended.si_pid, 0)
            status = self._statuses.pop(ended.si_pid)
            try:
                os.write(status, str(os.waitstatus_to_exitcode(code)).encode())
            except BrokenPipeError:
                pass  # nobody waits for it
            finally:
                os.close(status)


def run_as_python(arguments: Sequence[str]) -> int:
    """Does what `python` does with the same arguments, -m MODULE or -c CODE; gives the exit code."""
    flag, what, *rest = arguments
    sys.argv = [flag, *rest]
    try:
        if flag == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(what, {"__name__": "__main__"})
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main(arguments: list[str]) -> None:
    """Imports what the arguments name behind the first, and serves the socket that is the first."""
    with socket.socket(fileno=int(arguments[0])) as talk:
        os.set_inheritable(talk.fileno(), False)
        gc.disable()  # an import makes next to no garbage, and to look for it is a quarter of TensorFlow's
        for module in arguments[1:]:
            importlib.import_module(module)
        gc.freeze()  # nor is there any in what all processes share (Python's documentation of gc.freeze)
        gc.enable()
        sys.stdout.flush()  # or each process would print what the modules have printed
        # Threads that NumPy's linear algebra keeps for later, and which it begins anew after a fork.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        asked = _Server(talk).serve()
    code = 0 if asked is None else run_as_python(asked)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):  # it has closed it
            stream.flush()
    os._exit(code)  # to take TensorFlow apart would be seconds


if __name__ == "__main__":
    main(sys.argv[1:])
