"""The program of the fork server: it imports modules, and then serves the requests of `forkserver.py`.

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
"""Largest message in bytes."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class _Server:
    """Serves the requests of a `ForkServer`."""

    def __init__(self, talk: socket.socket) -> None:
        self._talk = talk
        self._temporary: str | None = None  # folder for the temporary files of all processes
        self._statuses: dict[int, int] = {}  # by the id of a live process, the pipe for its exit code
        self._selector = selectors.DefaultSelector()
        self._selector.register(talk, selectors.EVENT_READ)
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        os.set_blocking(woken, False)
        self._woken, self._waking = woken, waking
        self._selector.register(woken, selectors.EVENT_READ)
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Schedulers send SIGTERM to all processes of a job. This one ends with the run, after cleaning up.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def serve(self) -> list[str] | None:
        """Serves requests; returns the program's arguments in a forked process, and None when the client is gone."""
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._woken:
                    os.read(self._woken, 1024)
                    self._reap()
                    continue
                try:
                    message, files, *_ = socket.recv_fds(self._talk, LONGEST, 16)
                except ConnectionError:  # the client died before it read an answer
                    message = b""
                if not message:
                    self._end()
                    return None
                request: dict[str, Any] = json.loads(message)
                if "kill" in request:
                    self._kill(request["kill"])
                elif "signal" in request:
                    self._signal(request["to"], request["signal"])
                elif "ready" in request:
                    self._answer(0)
                elif not (pid := self._fork(files)):
                    os.environ.update(request["environment"])
                    if request["folder"]:
                        os.chdir(request["folder"])
                    given = files[len(files) - request["given"] :]
                    return [*request["start"], *map(str, given)]
                else:
                    self._answer(pid)

    def _answer(self, number: int) -> None:
        with contextlib.suppress(ConnectionError):  # the client is gone
            self._talk.send(str(number).encode())

    def _end(self) -> None:
        """Ends all processes: a process that holds Python's lock would not notice that the client is gone."""
        for pid in self._statuses:
            self._kill(pid)
        for pid in self._statuses:  # the client may rely on their files being closed
            os.waitpid(pid, 0)
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _fork(self, files: list[int]) -> int:
        stdin, output, status, *_ = files
        server = os.getpid()
        if self._temporary is None:  # not earlier: a server that still imports is killed, and cannot clean up
            self._temporary = tempfile.mkdtemp(prefix="loop-bench-")
        pid = os.fork()
        # Parent and child both create the child's group, so that it exists before anybody can want to end it.
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        if pid:
            for file in set(files) - {status}:
                os.close(file)
            self._statuses[pid] = status
            return pid
        # If the server is killed, nobody else ends a process that holds Python's lock.
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != server:
            os._exit(1)
        # Closes the stored descriptor, not the returned one, which is -1 where asyncio has reset it (Python 3.12).
        signal.set_wakeup_fd(-1)
        os.close(self._waking)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        self._talk.close()
        # Processes end without Python's shutdown, so that they would never remove temporary files such as AutoGraph's.
        os.environ["TMPDIR"] = tempfile.tempdir = self._temporary
        os.dup2(stdin, 0)
        for stream in (1, 2):
            os.dup2(output, stream)
        # Line by line, so that a killed process has printed its last words.
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        if numpy_random := sys.modules.get("numpy.random"):
            numpy_random.seed()  # as Python does with its own generator: unseeded draws must differ between processes
        for file in (*self._statuses.values(), self._woken, stdin, output, status):
            os.close(file)
        return 0

    def _kill(self, pid: int) -> None:
        if pid in self._statuses:  # not reaped, so that its id is not in use again
            with contextlib.suppress(ProcessLookupError):  # the process has changed its group
                os.killpg(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)

    def _signal(self, pid: int, number: int) -> None:
        if pid in self._statuses:
            os.kill(pid, number)

    def _reap(self) -> None:
        while self._statuses and (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
            self._kill(ended.si_pid)  # its child processes must not outlive it
            _, code = os.waitpid(ended.si_pid, 0)
            status = self._statuses.pop(ended.si_pid)
            try:
                os.write(status, str(os.waitstatus_to_exitcode(code)).encode())
            except BrokenPipeError:
                pass  # nobody waits for it
            finally:
                os.close(status)


def run_as_python(arguments: Sequence[str]) -> int:
    """Runs what `python` would run with the same arguments, -m MODULE or -c CODE; returns the exit code."""
    flag, target, *rest = arguments
    sys.argv = [flag, *rest]
    try:
        if flag == "-m":
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            exec(target, {"__name__": "__main__"})
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
    """Imports the modules in the arguments after the first, and serves the socket whose descriptor is the first."""
    with socket.socket(fileno=int(arguments[0])) as talk:
        os.set_inheritable(talk.fileno(), False)
        gc.disable()  # imports make almost no garbage; the search takes a quarter of TensorFlow's import
        for module in arguments[1:]:
            importlib.import_module(module)
        gc.freeze()  # keeps memory shared between processes, see Python's documentation of gc.freeze
        gc.enable()
        sys.stdout.flush()  # otherwise each process would print the modules' output again
        # NumPy's linear algebra keeps idle threads, and starts new ones after a fork.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        program = _Server(talk).serve()
    code = 0 if program is None else run_as_python(program)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):  # the program has closed it
            stream.flush()
    os._exit(code)  # TensorFlow's shutdown would take seconds


if __name__ == "__main__":
    main(sys.argv[1:])
