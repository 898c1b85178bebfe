"""The process of an arm from the run's side: it is started, asked, and ended with the run, however that ends."""

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
"""Seconds for one call: to draw data, build, trace and compile a loop, or to train a block of it. What takes longer
hangs."""

_GLANCE = 0.5
"""Seconds from one look at whether it lives to the next, while an answer is waited for."""

_ERRORS: dict[str, type[LoopError]] = {"factory": FactoryError, "loop": LoopError}

_DUMPING = 5.0
"""Seconds for a process to print where it is, or to end once it has closed its end of the connection."""

_STACK = re.compile(r'File "([^"]+)", line (\d+) in')

_STANDARD = re.compile(r"/lib/python3\.\d+/")
"""In paths of the standard library of any interpreter."""

_LAST = 20_000
"""Bytes at the end of what a process has printed that are looked at."""


class ArmError(LoopError):
    """The process of an arm has died, or hangs; one line that names the arm, what and where."""


class NotLoadedError(UsageError):
    """A factory cannot be loaded where an arm lives."""


class Remote:
    """An object in the process of an arm, whose methods are called there.

    Arguments and results are plain values and arrays; a tuple arrives as a list.
    """

    def __init__(self, process: ArmProcess, number: int) -> None:
        self._process = process
        self._number = number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            what = {"number": self._number, "method": name, "arguments": arguments}
            return self._process.ask("call", f"{name}{_shown(arguments)}", **what)

        return call

    def __del__(self) -> None:
        self._process.forget(self._number)


def _shown(arguments: Sequence[Any]) -> str:
    plain = [str(each) for each in arguments if isinstance(each, str | int | float)]
    return f"({', '.join(plain)})"


class ArmProcess:
    """A process in which the loops of an arm are built and trained, one call at a time.

    Args:
        name: of the arm, for messages.
        launch: in what folder it runs, and where it finds the user's modules.
        zygote: what it is forked from, entered: in the interpreter of the arm.
        patience: seconds for one call.

    Attributes:
        idle_processor: seconds of processor time that it and its children have used while nothing was asked of it.
        idle: seconds in which nothing was asked.
    """

    def __init__(self, name: str, launch: Launch, zygote: Zygote, patience: float = PATIENCE) -> None:
        self.name = name
        self.idle = self.idle_processor = 0.0
        self._launch, self._zygote = launch, zygote
        self._patience = patience
        self._forgotten: list[int] = []
        self._at_rest: float | None = None  # the time at which it answered last
        self._children: list[psutil.Process] = []
        self._used_at_rest = 0.0  # by them
        self._process: Forked | None = None

    def __enter__(self) -> Self:
        """Has it forked.

        Raises:
            UsageError: the interpreter will not do.
            ArmError: the process that forks has died.
        """
        with contextlib.ExitStack() as stack:
            # Without a name: whoever ends this process leaves nothing behind.
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
        """Its number."""
        assert self._process is not None
        return self._process.pid

    def begin(self, makers: Sequence[str], factory: str) -> dict[str, Any]:
        """Has it import what it needs and the factory's module.

        Args:
            makers: what `make` will be asked for, each as module:name.
            factory: as module:factory.

        Returns:
            `module`: the file that the factory is in; `versions` of packages, by name; `python`.

        Raises:
            NotLoadedError: the factory cannot be loaded there.
        """
        what = {"makers": makers, "factory": factory, "paths": self._launch.paths}
        try:
            found: dict[str, Any] = self.ask("begin", f"importing {factory}", **what)
        except UsageError as error:
            raise NotLoadedError(str(error)) from error
        return found

    def make(self, maker: str, *arguments: Any) -> Remote:
        """An object that lives there."""
        return Remote(self, self.ask("make", f"building for {self.name}", maker=maker, arguments=arguments))

    def forget(self, number: int) -> None:
        """Lets go of an object, with the next call: also when Python collects what stands for it."""
        self._forgotten.append(number)

    def ask(self, do: str, where: str, **what: Any) -> Any:
        """The answer to a call.

        Args:
            do: the method of the server.
            where: what is done, for the message of a process that dies in it.
            what: arguments.

        Raises:
            UsageError: as there.
            LoopError: a loop has failed there.
            ArmError: the process has died or hangs.
        """
        while self._forgotten:
            self._told("forget", where, {"number": self._forgotten.pop()})
        answer = self._told(do, where, what)
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
        """Counts idle time from now on."""
        self.idle = self.idle_processor = 0.0
        self._at_rest = None
        with contextlib.suppress(psutil.Error):
            self._children = psutil.Process(self.pid).children(recursive=True)

    def _told(self, do: str, where: str, what: dict[str, Any]) -> dict[str, Any]:
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
        if self._at_rest is not None:
            self.idle += began - self._at_rest
            self.idle_processor += answer["idle_processor"] + used - self._used_at_rest
        self._used_at_rest = self._used_by_children()
        self._at_rest = time.monotonic()
        return answer

    def _wait(self, until: float) -> None:
        """Waits for an answer; not for one of a process that is gone, whose children may hold its end open."""
        while not self._channel.has_come(_GLANCE):
            if self._ended() and not self._channel.has_come(0):
                raise EOFError
            if time.monotonic() > until:
                raise TimeoutError

    def _ended(self) -> bool:
        return self._process is not None and self._process.wait(0) is not None

    def _used_by_children(self) -> float:
        """Processor seconds of those of its children that were there when idle time was counted anew."""
        seconds = 0.0
        for child in self._children:
            with contextlib.suppress(psutil.Error):  # it may have ended
                used = child.cpu_times()
                seconds += used.user + used.system
        return seconds

    def _hangs(self) -> str:
        """Asks it for the line that it is at, and ends it."""
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
        self._process.wait(_DUMPING)  # it may have closed its end, and live on
        self._kill()
        if self._process.lost:
            return "with the process that it was forked from"
        code = self._process.returncode
        assert code is not None
        at = self._at() if code < 0 else ""
        return f"{end_of(code, self._last_line())}{at}"

    def _at(self) -> str:
        """The user's line that it was at, by what faulthandler has printed, as `, at train.py:7`; empty if unknown."""
        stack = [(file, int(line)) for file, line in _STACK.findall("\n".join(self._lines()))]
        theirs = [each for each in stack if source.is_users(each[0]) and not _STANDARD.search(each[0])]
        return f", at {source.place(*theirs[0])}" if theirs else ""

    def _kill(self) -> None:
        """Ends it and all that it has started."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _lines(self) -> list[str]:
        size = os.fstat(self._printed.fileno()).st_size
        # Not by the file's position, at which the process writes.
        return os.pread(self._printed.fileno(), _LAST, max(0, size - _LAST)).decode(errors="replace").splitlines()

    def _last_line(self) -> str:
        return next((line.strip() for line in reversed(self._lines()) if line.strip()), "")
