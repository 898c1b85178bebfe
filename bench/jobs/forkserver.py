"""Processes that begin with everything imported: forked from one that has done nothing but import.

To start Python and TensorFlow takes longer than most runs with a fault. (As multiprocessing's fork server, which
however gives its processes neither files to hold nor an exit code beyond the life of the one that started them.)
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from typing_extensions import Self

from loop_bench.jobs import forkserver_process
from loop_bench.jobs.forkserver_process import LONGEST

PROGRAM = forkserver_process.__name__


class ForkServerError(RuntimeError):
    """The process that forks has died.

    Attributes:
        code: its exit code, that of a signal negative.
        last: the last line that it has printed; empty if there is none.
    """

    def __init__(self, message: str, code: int, last: str) -> None:
        super().__init__(message)
        self.code, self.last = code, last


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
                if self.lost:  # what it has started nobody else ends
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(self.pid, signal.SIGKILL)
                self.returncode = -signal.SIGKILL if self.lost else int(told)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended already."""
        self._server.send_signal(self.pid, number)

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
        patience: seconds to wait for an answer; None: for as long as it lives.
    """

    def __init__(
        self,
        modules: Sequence[str],
        environment: Mapping[str, str],
        command: Command = _own_python,
        folder: Path | None = None,
        patience: float | None = None,
    ) -> None:
        self._modules = modules
        self._environment = environment
        self._command = command
        self._folder = folder
        self._patience = patience
        self._talking = threading.Lock()
        self._has_answered = False

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(self._socket)
            self._notes = stack.enter_context(tempfile.TemporaryFile())  # TensorFlow writes some when it is imported
            self._socket.settimeout(self._patience)
            with theirs:
                self._process = subprocess.Popen(
                    self._command(PROGRAM, str(theirs.fileno()), *self._modules),
                    cwd=self._folder,
                    env=self._environment,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=self._notes,
                    stderr=self._notes,
                    start_new_session=True,  # Ctrl-C is for the process that has entered
                )
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # It imports, has forked nothing that anybody knows of, and would not notice. With its group: it may be a script
        # that has started Python.
        if not self._has_answered and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        with self._talking:  # another thread may wait for the answer, which it has now
            self._socket.close()
            self._process.wait()
            self._notes.close()

    def start(
        self,
        arguments: Sequence[str],
        output: int,
        hold: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        give: Sequence[int] = (),
        folder: Path | None = None,
    ) -> Forked:
        """Begins a process in a group of its own.

        Args:
            arguments: as `python` takes them: -m MODULE or -c CODE, and what is that one's.
            output: file for its standard output and error.
            hold: files that it keeps open for as long as it lives.
            environment: variables of this process, besides those of all. What the server has imported has read the
                others already.
            give: files that it has as well, and whose numbers there are its last arguments.
            folder: its current folder; None: that of all.

        Raises:
            ForkServerError: the server has died.
            TimeoutError: it does not answer.
        """
        stdin, our_stdin = os.pipe()
        our_status, status = os.pipe()
        asked = {
            "start": list(arguments),
            "environment": dict(environment or {}),
            "given": len(give),
            "folder": str(folder) if folder else None,
        }
        try:
            pid = self._ask(asked, [stdin, output, status, *hold, *give])
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
            ForkServerError: it cannot be imported.
            TimeoutError: it takes too long.
        """
        self._ask({"ready": True}, [])

    def _ask(self, what: Mapping[str, Any], files: Sequence[int]) -> int:
        """The server's answer, which it gives when it has imported everything."""
        with self._talking:
            told = b""
            with contextlib.suppress(ConnectionError):
                socket.send_fds(self._socket, [json.dumps(what).encode()], files)
                told = self._socket.recv(LONGEST)
            if not told:
                raise self._died()
            self._has_answered = True
        return int(told)

    def _died(self) -> ForkServerError:
        """What is to be said of it, with the last line that it has written."""
        code = self._process.wait()
        self._notes.seek(0)
        lines = self._notes.read().decode(errors="replace").strip().splitlines()
        last = lines[-1].strip() if lines else ""
        what = f"the process that imports {', '.join(self._modules)} and forks has died{f' ({last})' if last else ''}"
        return ForkServerError(what, code, last)

    def send_signal(self, pid: int, number: int) -> None:
        """Sends a signal to a process that it has begun, unless that has ended already."""
        self._tell({"signal": number, "to": pid})

    def kill(self, pid: int) -> None:
        """Ends a process that it has begun, and all that this one has started, unless it has ended already."""
        self._tell({"kill": pid})

    def _tell(self, what: Mapping[str, Any]) -> None:
        with self._talking, contextlib.suppress(OSError):  # with a server all its processes go: see `Forked.wait`
            self._socket.send(json.dumps(what).encode())
