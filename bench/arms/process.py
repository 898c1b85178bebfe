"""The run's side of an arm's process: it starts the process, calls it, and ends it with the run."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import psutil
from typing_extensions import Self

from loop_bench import source
from loop_bench.arms.channel import Channel
from loop_bench.arms.launch import Launch
from loop_bench.arms.zygote import Zygote, end_of
from loop_bench.errors import UsageError, add_note
from loop_bench.failure import FactoryError, LoopError
from loop_bench.jobs.forkserver import Forked, ForkServerError

PATIENCE = 1800.0
"""Seconds allowed for one call: drawing data, building, tracing and compiling a loop, or training a block."""

_GLANCE = 0.5
"""Seconds between two checks that the process is alive, while an answer is awaited."""

_ERRORS: dict[str, type[LoopError]] = {"factory": FactoryError, "loop": LoopError}

_DUMPING = 5.0
"""Seconds allowed for a process to print its stack, or to end after it has closed the connection."""

_STACK = re.compile(r'File "([^"]+)", line (\d+) in')

_STANDARD = re.compile(r"/lib/python3\.\d+/")
"""Matches paths in the standard library of any interpreter."""

_LAST = 20_000
"""Bytes that are read from the end of a process's output."""


class ArmError(LoopError):
    """An arm's process has died or hangs; the message is one line with the arm, the call and the place."""


class NotLoadedError(UsageError):
    """A factory cannot be loaded in the environment of an arm."""


class Remote:
    """Stands for an object in an arm's process; its methods are called there.

    Arguments and results are plain values and arrays; a tuple arrives as a list.
    """

    def __init__(self, process: ArmProcess, number: int) -> None:
        self._process = process
        self._number = number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            fields = {"number": self._number, "method": name, "arguments": arguments}
            return self._process.ask("call", f"{name}{_shown(arguments)}", **fields)

        return call

    def __del__(self) -> None:
        self._process.forget(self._number)


def _shown(arguments: Sequence[Any]) -> str:
    plain = [str(argument) for argument in arguments if isinstance(argument, str | int | float)]
    return f"({', '.join(plain)})"


class ArmProcess:
    """A process in which the loops of an arm are built and trained, one call at a time.

    Args:
        name: of the arm, used in messages.
        launch: its current folder, and where it finds the user's modules.
        zygote: entered; of the arm's interpreter. The process is forked from it.
        patience: seconds allowed for one call.

    Attributes:
        idle_processor: seconds of processor time that it and its children have used between calls.
        idle: seconds between calls.
    """

    def __init__(self, name: str, launch: Launch, zygote: Zygote, patience: float = PATIENCE) -> None:
        self.name = name
        self.idle = self.idle_processor = 0.0
        self._launch, self._zygote = launch, zygote
        self._patience = patience
        self._forgotten: list[int] = []
        self._idle_since: float | None = None  # time of its last answer
        self._children: list[psutil.Process] = []
        self._children_used = 0.0  # processor seconds of the children at the last answer
        self._process: Forked | None = None

    def __enter__(self) -> Self:
        """Forks the process.

        Raises:
            UsageError: the interpreter is unsuitable.
            ArmError: the zygote has died.
        """
        with contextlib.ExitStack() as stack:
            # An unnamed file disappears with its last user, however the process ends.
            self._printed = stack.enter_context(tempfile.TemporaryFile())
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            with theirs:
                output = self._printed.fileno()
                try:
                    self._process = self._zygote.fork(self._launch, output, theirs.fileno())
                except ForkServerError as error:
                    raise ArmError.told(f"{self.name}: {error}") from None
            stack.pop_all()
        self._channel = Channel(ours.detach())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._process is None:
            return
        self._channel.close()
        self._kill()
        self._process.close()
        self._printed.close()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def begin(self, makers: Sequence[str], factory: str) -> dict[str, Any]:
        """Imports in the process what it needs, and the factory's module.

        Args:
            makers: what `make` will be called with, each as module:name.
            factory: as module:factory.

        Returns:
            `module`: the file that the factory is in; `versions` of packages, by name; `python`.

        Raises:
            NotLoadedError: the factory cannot be loaded in the process.
        """
        fields = {"makers": makers, "factory": factory, "paths": self._launch.paths}
        try:
            imported: dict[str, Any] = self.ask("begin", f"importing {factory}", **fields)
        except UsageError as error:
            raise NotLoadedError(str(error)) from error
        return imported

    def make(self, maker: str, *arguments: Any) -> Remote:
        """Creates an object in the process and returns its stand-in."""
        return Remote(self, self.ask("make", f"building for {self.name}", maker=maker, arguments=arguments))

    def forget(self, number: int) -> None:
        """Releases an object with the next call; Python also calls this when it collects the stand-in."""
        self._forgotten.append(number)

    def ask(self, do: str, where: str, **what: Any) -> Any:
        """Calls a method of the server and returns its answer.

        Args:
            do: name of the server's method.
            where: what is being done, for the message if the process dies.
            what: arguments of the method.

        Raises:
            UsageError: the method has raised one.
            LoopError: a loop has failed in the process.
            ArmError: the process has died or hangs.
        """
        while self._forgotten:
            self._exchange("forget", where, {"number": self._forgotten.pop()})
        answer = self._exchange(do, where, what)
        error = answer.get("error")
        if error is None:
            return answer["value"]
        raised: Exception
        if error["kind"] == "usage":
            raised = UsageError(f"{self.name}: {error['message']}")
        else:
            kind = _ERRORS.get(error["kind"], LoopError)
            message = error["message"] if error["kind"] in _ERRORS else f"{self.name}: {error['message']}"
            raised = kind.told(message, error["line"])
        add_note(raised, f"in the process of {self.name}:\n{error['trace']}")
        raise raised

    def forget_idle(self) -> None:
        """Restarts the count of idle time."""
        self.idle = self.idle_processor = 0.0
        self._idle_since = None
        with contextlib.suppress(psutil.Error):
            self._children = psutil.Process(self.pid).children(recursive=True)

    def _exchange(self, do: str, where: str, what: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        used = self._used_by_children()
        try:
            self._channel.send({"do": do, "what": what})
            self._wait(began + self._patience)
            answer: dict[str, Any] = self._channel.receive(0)
        except TimeoutError:
            why = f"no answer within {self._patience:g} s{self._hangs()}; its process was ended"
            raise ArmError.told(f"{self.name}: hangs in {where}: {why}", why) from None
        except (EOFError, OSError):
            why = self._died()
            raise ArmError.told(f"{self.name}: its process died in {where}: {why}", why) from None
        if self._idle_since is not None:
            self.idle += began - self._idle_since
            self.idle_processor += answer["idle_processor"] + used - self._children_used
        self._children_used = self._used_by_children()
        self._idle_since = time.monotonic()
        return answer

    def _wait(self, until: float) -> None:
        """Waits for an answer; not for a dead process, whose children may hold its connection open."""
        while not self._channel.has_come(_GLANCE):
            if self._ended() and not self._channel.has_come(0):
                raise EOFError
            if time.monotonic() > until:
                raise TimeoutError

    def _ended(self) -> bool:
        return self._process is not None and self._process.wait(0) is not None

    def _used_by_children(self) -> float:
        """Processor seconds of the children that existed when the count of idle time was restarted."""
        seconds = 0.0
        for child in self._children:
            with contextlib.suppress(psutil.Error):  # it may have ended
                used = child.cpu_times()
                seconds += used.user + used.system
        return seconds

    def _hangs(self) -> str:
        """Finds the line at which the process hangs, and ends the process."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)
        waited_until, at = time.monotonic() + _DUMPING, ""
        while not at and not self._ended() and time.monotonic() < waited_until:
            time.sleep(0.05)
            at = self._at()
        self._kill()
        return at

    def _died(self) -> str:
        assert self._process is not None
        self._process.wait(_DUMPING)  # it may have closed the connection and still run
        self._kill()
        if self._process.lost:
            return "so did the process that it was forked from"
        code = self._process.returncode
        assert code is not None
        at = self._at() if code < 0 else ""
        return f"{end_of(code, self._last_line())}{at}"

    def _at(self) -> str:
        """The user's line in faulthandler's output, as `, at train.py:7`; empty if unknown."""
        stack = [(file, int(line)) for file, line in _STACK.findall("\n".join(self._lines()))]
        users = [place for place in stack if source.is_users(place[0]) and not _STANDARD.search(place[0])]
        return f", at {source.place(*users[0])}" if users else ""

    def _kill(self) -> None:
        """Ends the process and everything that it has started."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _lines(self) -> list[str]:
        size = os.fstat(self._printed.fileno()).st_size
        # Not by the file's position, which the process uses to write.
        return os.pread(self._printed.fileno(), _LAST, max(0, size - _LAST)).decode(errors="replace").splitlines()

    def _last_line(self) -> str:
        return next((line.strip() for line in reversed(self._lines()) if line.strip()), "")
