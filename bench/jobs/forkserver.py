"""Processes that begin with everything imported: forked from one that has done nothing but import.

To start Python and TensorFlow takes longer than most runs with a fault. (As multiprocessing's fork server, which
however gives its processes neither files to hold nor an exit code beyond the life of the one that started them.)
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import math
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from typing_extensions import Self

_LONGEST = 2**20
"""Bytes of a message."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Command(Protocol):
    """How a process is begun that runs a module of this package as a program."""

    def __call__(self, module: str, *arguments: str) -> list[str]:
        """The command for the operating system."""


def _own_python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


class Forked:
    """A process that a fork server has begun."""

    def __init__(self, server: ForkServer, pid: int, stdin: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.lost = False  # the server is gone, and this with it: the code says nothing
        self._server = server
        self._stdin = stdin
        self._status = status

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code, that of a signal negative; None when it has not ended within `timeout` seconds."""
        if self.returncode is None:
            status = select.poll()  # not select.select, which knows the first 1,024 files only
            status.register(self._status, select.POLLIN)
            if status.poll(None if timeout is None else math.ceil(timeout * 1000)):
                told = os.read(self._status, 64)
                self.lost = not told
                self.returncode = -signal.SIGKILL if self.lost else int(told)
        return self.returncode

    def kill(self) -> None:
        """Ends it and all that it has started."""
        self._server.kill(self.pid)

    def close(self) -> None:
        """Lets go of the files between it and this process: it takes this process for gone."""
        os.close(self._stdin)
        os.close(self._status)


class ForkServer:
    """The process that forks; ended on leaving, or when the one that has entered it is gone.

    Args:
        modules: imported before the first fork.
        environment: all variables of all processes.
        command: makes the command that runs a module of this package, with arguments.
        folder: the current folder of all processes; None: that of this one.
    """

    def __init__(
        self,
        modules: Sequence[str],
        environment: Mapping[str, str],
        command: Command = _own_python,
        folder: Path | None = None,
    ) -> None:
        self._modules = modules
        self._environment = environment
        self._command = command
        self._folder = folder
        self._talking = threading.Lock()
        self._has_answered = False

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._notes = tempfile.TemporaryFile()  # TensorFlow writes some to standard error when it is imported
        self._process = subprocess.Popen(
            self._command(__name__, str(theirs.fileno()), *self._modules),
            cwd=self._folder,
            env=self._environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._notes,
            stderr=self._notes,
            start_new_session=True,  # Ctrl-C is for the process that has entered
        )
        theirs.close()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._socket.close()
        if not self._has_answered:  # it imports, has forked nothing that anybody knows of, and would not notice
            self._process.kill()
        self._process.wait()
        self._notes.close()

    def start(
        self,
        arguments: Sequence[str],
        output: int,
        hold: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Forked:
        """Begins a process in a group of its own.

        Args:
            arguments: as `python` takes them: -m MODULE or -c CODE, and what is that one's.
            output: file for its standard output and error.
            hold: files that it keeps open for as long as it lives.
            environment: variables of this process, besides those of all. What the server has imported has read the
                others already.
        """
        stdin, our_stdin = os.pipe()
        our_status, status = os.pipe()
        asked = {"start": list(arguments), "environment": dict(environment or {})}
        try:
            pid = self._ask(asked, [stdin, output, status, *hold])
        except BaseException:
            os.close(our_stdin)
            os.close(our_status)
            raise
        finally:
            os.close(stdin)
            os.close(status)
        return Forked(self, pid, our_stdin, our_status)

    def wait_until_ready(self) -> None:
        """Returns when everything is imported, for what should not be disturbed by it.

        Raises:
            RuntimeError: it cannot be imported.
        """
        self._ask({"ready": True}, [])

    def _ask(self, what: Mapping[str, Any], files: Sequence[int]) -> int:
        """The server's answer, which it gives when it has imported everything."""
        told = b""
        with self._talking, contextlib.suppress(ConnectionError):
            socket.send_fds(self._socket, [json.dumps(what).encode()], files)
            told = self._socket.recv(_LONGEST)
        if not told:
            raise RuntimeError(f"the process that imports {', '.join(self._modules)} and forks has died{self._last()}")
        self._has_answered = True
        return int(told)

    def _last(self) -> str:
        """The last line of what the server has written."""
        self._process.wait()
        self._notes.seek(0)
        lines = self._notes.read().decode(errors="replace").strip().splitlines()
        return f" ({lines[-1]})" if lines else ""

    def kill(self, pid: int) -> None:
        """Ends a process that it has begun, and all that this one has started, unless it has ended already."""
        with self._talking, contextlib.suppress(OSError):  # of a server that is gone all processes are
            self._socket.send(json.dumps({"kill": pid}).encode())


class _Server:
    """What the process that forks does."""

    def __init__(self, talk: socket.socket) -> None:
        self._talk = talk
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

    def serve(self) -> list[str] | None:
        """Forks what it is asked for; gives the arguments in a process that was forked, None when nobody asks more."""
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._woken:
                    os.read(self._woken, 1024)
                    self._reap()
                    continue
                try:
                    message, files, *_ = socket.recv_fds(self._talk, _LONGEST, 16)
                except ConnectionError:  # who has asked was ended before it had read the answer
                    message = b""
                if not message:
                    self._end()
                    return None
                asked: dict[str, Any] = json.loads(message)
                if "kill" in asked:
                    self._kill(asked["kill"])
                elif "ready" in asked:
                    self._answer(0)
                elif not (pid := self._fork(files)):
                    os.environ.update(asked["environment"])
                    return list(asked["start"])
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

    def _fork(self, files: list[int]) -> int:
        stdin, output, status, *_ = files
        server = os.getpid()
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
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._talk.close()
        os.dup2(stdin, 0)
        for stream in (1, 2):
            os.dup2(output, stream)
        for file in (*self._statuses.values(), self._woken, stdin, output, status):
            os.close(file)
        return 0

    def _kill(self, pid: int) -> None:
        if pid in self._statuses:  # not reaped, so that nobody else can have the number
            with contextlib.suppress(ProcessLookupError):  # it has moved to another group
                os.killpg(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)

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
