"""The fork server: processes that begin with everything imported, forked from a process that only imports.

Starting Python and TensorFlow takes longer than most runs with a fault. The fork server of multiprocessing is similar,
but gives its processes no files to hold, and no exit code once the process that has started them is gone.
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
    """The fork server has died.

    Attributes:
        code: its exit code; negative: the number of the signal that killed it.
        last: the last line that it printed; empty if there is none.
    """

    def __init__(self, message: str, code: int, last: str) -> None:
        super().__init__(message)
        self.code, self.last = code, last


class Command(Protocol):
    """Builds the command for a process that runs a module of this package as a program."""

    def __call__(self, module: str, *arguments: str) -> list[str]:
        """The command and its arguments, for the operating system."""


def _own_python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


class Forked:
    """A process that a fork server has started."""

    def __init__(self, server: ForkServer, pid: int, stdin: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.lost = False  # the server is gone, and this process with it: the exit code says nothing
        self._server = server
        self._stdin = stdin
        self._status = status

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for the exit code, negative for a signal; None when it has not ended within `timeout` seconds."""
        if self.returncode is None:
            status = select.poll()  # not select.select, which is limited to 1,024 files
            status.register(self._status, select.POLLIN)
            if status.poll(None if timeout is None else math.ceil(timeout * 1000)):
                code = os.read(self._status, 64)
                self.lost = not code
                if self.lost:  # nobody else ends its child processes
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(self.pid, signal.SIGKILL)
                self.returncode = -signal.SIGKILL if self.lost else int(code)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends the process a signal, unless it has ended."""
        self._server.send_signal(self.pid, number)

    def kill(self) -> None:
        """Ends the process and everything that it has started."""
        self._server.kill(self.pid)

    def close(self) -> None:
        """Closes the pipes to the process, which then takes this process for gone."""
        os.close(self._stdin)
        os.close(self._status)


class ForkServer:
    """Runs the process that forks; it ends on leaving, or when the process that entered is gone.

    Args:
        modules: imported before the first fork.
        environment: all environment variables of all processes.
        command: builds the command that runs a module of this package, with arguments.
        folder: current folder of all processes; None: that of this process.
        patience: seconds to wait for an answer; None: for as long as the server lives.
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
            self._output = stack.enter_context(tempfile.TemporaryFile())  # TensorFlow prints notes when it is imported
            self._socket.settimeout(self._patience)
            with theirs:
                self._process = subprocess.Popen(
                    self._command(PROGRAM, str(theirs.fileno()), *self._modules),
                    cwd=self._folder,
                    env=self._environment,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=self._output,
                    stderr=self._output,
                    start_new_session=True,  # Ctrl-C is for the process that has entered
                )
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # While it imports, it has forked no process, and would not notice the end of the connection. Its whole group is
        # killed, because the command may be a script that has started Python.
        if not self._has_answered and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        with self._talking:  # another thread may be waiting for an answer
            self._socket.close()
            self._process.wait()
            self._output.close()

    def start(
        self,
        arguments: Sequence[str],
        output: int,
        hold: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        give: Sequence[int] = (),
        folder: Path | None = None,
    ) -> Forked:
        """Starts a process in a process group of its own.

        Args:
            arguments: as `python` takes them: -m MODULE or -c CODE, and the program's own.
            output: file for its standard output and error.
            hold: files that the process keeps open for as long as it lives.
            environment: variables of this process, added to those of the server. Modules that the server has imported
                have read theirs already.
            give: files that the process inherits too; their descriptors become its last arguments.
            folder: its current folder; None: that of the server.

        Raises:
            ForkServerError: the server has died.
            TimeoutError: it does not answer in time.
        """
        stdin, our_stdin = os.pipe()
        our_status, status = os.pipe()
        request = {
            "start": list(arguments),
            "environment": dict(environment or {}),
            "given": len(give),
            "folder": str(folder) if folder else None,
        }
        try:
            pid = self._ask(request, [stdin, output, status, *hold, *give])
        except BaseException:
            os.close(our_stdin)
            os.close(our_status)
            raise
        finally:
            os.close(stdin)
            os.close(status)
        return Forked(self, pid, our_stdin, our_status)

    def wait_until_ready(self) -> None:
        """Blocks until everything is imported, before work that the imports would disturb.

        Raises:
            ForkServerError: an import has failed.
            TimeoutError: the imports take too long.
        """
        self._ask({"ready": True}, [])

    def _ask(self, request: Mapping[str, Any], files: Sequence[int]) -> int:
        """Sends a request and returns the server's answer, which comes after its imports."""
        with self._talking:
            answer = b""
            with contextlib.suppress(ConnectionError):
                socket.send_fds(self._socket, [json.dumps(request).encode()], files)
                answer = self._socket.recv(LONGEST)
            if not answer:
                raise self._died()
            self._has_answered = True
        return int(answer)

    def _died(self) -> ForkServerError:
        """The error for a dead server, with the last line of its output."""
        code = self._process.wait()
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        last = lines[-1].strip() if lines else ""
        modules = ", ".join(self._modules)
        message = f"the process that imports {modules} and forks has died{f' ({last})' if last else ''}"
        return ForkServerError(message, code, last)

    def send_signal(self, pid: int, number: int) -> None:
        """Sends a signal to a process of this server, unless it has ended."""
        self._send({"signal": number, "to": pid})

    def kill(self, pid: int) -> None:
        """Ends a process of this server and everything that it has started, unless it has ended."""
        self._send({"kill": pid})

    def _send(self, request: Mapping[str, Any]) -> None:
        with self._talking, contextlib.suppress(OSError):  # a dead server's processes are dead too, see `Forked.wait`
            self._socket.send(json.dumps(request).encode())
