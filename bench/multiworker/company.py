"""The chief's side of several machines: each call into a loop here is made on every worker as well.

What a chief measures is one loop on all machines: it trains a batch when all do. So the clock here tells of all.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pkgutil
import queue
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from typing_extensions import Self

from loop_bench import collectives
from loop_bench.arms.channel import Channel
from loop_bench.errors import UsageError
from loop_bench.failure import LoopError
from loop_bench.jobs import folder
from loop_bench.loop import load
from loop_bench.machine.environment import environment
from loop_bench.multiworker.follower import PATIENCE, differences
from loop_bench.multiworker.task import Task, named


class WorkerError(LoopError):
    """A worker has died, or its loop has failed; one line that names it."""


class Together:
    """An object here, and one like it on every worker; each method is called on all of them at once."""

    def __init__(self, company: Company, here: Any, number: int, title: str) -> None:
        self._company, self._here, self._number, self._title = company, here, number, title

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            return self._do("follow", name, arguments)[0]

        return call

    def everywhere(self, name: str, *arguments: Any) -> list[Any]:
        """What a method gives on each machine, the chief's first."""
        return self._do("call", name, arguments)

    def _do(self, what: str, name: str, arguments: Sequence[Any]) -> list[Any]:
        asked = {"number": self._number, "method": name, "arguments": arguments}
        words = f"while it was asked for {name}() of {self._title}"
        return self._company.do(what, words, lambda: getattr(self._here, name)(*arguments), **asked)


class Company:
    """The workers that follow a chief.

    Args:
        task: of this process, which is the chief.
        loops: factory and options of each loop.
        tell: is told what is waited for.
        patience: seconds to wait for all workers.

    Attributes:
        machines: the environment of each process, as `machine.environment.environment` gives it, the chief's first.
    """

    def __init__(
        self,
        task: Task,
        loops: Sequence[tuple[str, Mapping[str, Any]]],
        tell: Callable[[str], None] = lambda words: None,
        patience: float = PATIENCE,
    ) -> None:
        self._task, self._loops, self._tell, self._patience = task, loops, tell, patience
        self._workers: list[_Worker] = []
        self.machines: tuple[dict[str, Any], ...] = ()

    def __enter__(self) -> Self:
        """Waits for all workers, and looks whether they have the same code and software.

        Raises:
            UsageError: one does not come, or differs; it says which and in what.
        """
        try:
            self._meet()
            self._compare()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:  # else nobody knows what they are in the middle of
            for worker in self._workers:
                worker.end()
        self._close()

    def begin(self, makers: Sequence[str]) -> None:
        """Has the workers import what will be made, and the factories' modules here and there at once.

        A module may make its strategy when it is imported, which waits until all have.

        Args:
            makers: each as module:name.

        Raises:
            UsageError: a factory cannot be loaded there.
        """
        for factory in dict.fromkeys(factory for factory, _ in self._loops):
            self.do(
                "begin",
                f"loading {factory}",
                functools.partial(load, factory),
                makers=[*makers],
                factory=factory,
                paths=[],
            )

    def make(self, maker: str, *arguments: Any) -> Together:
        """An object here and on every worker.

        Args:
            maker: what makes it, as module:name; one of those of `begin`.
            arguments: plain values; the first is a factory's name.
        """
        title, make = str(arguments[0]), pkgutil.resolve_name(maker)
        here, number, *_ = self.do(  # every worker has made as many before
            "make", f"loading {title}", lambda: make(*arguments), maker=maker, arguments=arguments
        )
        return Together(self, here, number, title)

    def do(self, what: str, words: str, here: Callable[[], Any], **arguments: Any) -> list[Any]:
        """Has every worker do something and does the same here, all at once; what each gives, the chief's first.

        Args:
            what: a method of `Follower`.
            words: the same for messages, after the name of a worker.
            here: does it here.
            arguments: of the method.

        Raises:
            WorkerError: a worker has died, or failed.
        """
        for worker in self._workers:
            worker.begin(what, words, **arguments)
        for worker in self._workers:  # so that none is waited for in the time that is measured here
            worker.wait_until_begun()
        try:
            found = here()
        except Exception as error:
            if _BROKEN_OFF.search(str(error)) and (cause := self._cause()):
                raise cause from None
            raise
        return [found, *(worker.answer() for worker in self._workers)]

    def _cause(self) -> WorkerError | None:
        """What a worker has broken an operation off for, if one has."""
        until = time.monotonic() + _SOON
        while time.monotonic() < until:
            for worker in self._workers:
                if worker.failure:
                    return worker.failure
            time.sleep(0.05)
        return None

    def _meet(self) -> None:
        host, port = self._task.control
        try:
            listener = socket.create_server((host, port), backlog=len(self._task.addresses))
        except OSError as error:
            raise UsageError(f"{host}:{port}: workers cannot be met there ({error.strerror})") from None
        missing = dict.fromkeys(range(1, len(self._task.addresses)))
        until = time.monotonic() + self._patience
        with listener:
            while missing:
                names = ", ".join(named(index, self._task.addresses) for index in missing)
                self._tell(f"waiting for {names}: loop-bench worker there")
                listener.settimeout(max(0.0, until - time.monotonic()) or 0.001)
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    raise UsageError(
                        f"not there after {self._patience:g} s: {names}; loop-bench worker there"
                    ) from None
                worker = self._met(connection, missing)
                if worker is not None:
                    del missing[worker.index]
                    self._workers.append(worker)
        self._workers.sort(key=lambda worker: worker.index)

    def _met(self, connection: socket.socket, missing: Mapping[int, None]) -> _Worker | None:
        """The worker at the other end; None of whoever else has found the port."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(True)
        _limit(connection, _SOON)  # some send a beginning and no end
        channel = Channel(os.dup(connection.fileno()))
        try:
            said = channel.receive(_SOON)
            index, addresses = said["index"], tuple(said["addresses"])
            if addresses == self._task.addresses and index in missing:
                _limit(connection, 0)
                return _Worker(index, named(index, addresses), connection, channel)
        except (EOFError, TimeoutError, ValueError, TypeError, KeyError):
            pass
        channel.close()
        connection.close()
        return None

    def _compare(self) -> None:
        loops = [(factory, dict(options)) for factory, options in self._loops]

        def introduce() -> dict[str, Any]:
            return {"environment": environment(), "fingerprint": folder.fingerprint(loops)}

        ours, *others = self.do("introduce", "introducing itself", introduce, loops=loops)
        for worker, theirs in zip(self._workers, others, strict=True):
            if found := differences(theirs, ours):
                raise UsageError(f"{worker.title} has {', '.join(found)}: all must train with the same")
        self.machines = (ours["environment"], *(theirs["environment"] for theirs in others))

    def _close(self) -> None:
        for worker in self._workers:
            worker.close()


def _limit(connection: socket.socket, seconds: float) -> None:
    """Has reads of a connection fail when nothing comes for so long; 0: never."""
    whole, rest = divmod(seconds, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(whole), int(1e6 * rest)))


_BROKEN_OFF = re.compile("[Cc]ollective|UnavailableError|CancelledError")
"""In what TensorFlow says of an operation of all that one has left."""

_SOON = 5.0
"""Seconds for a worker to say who it is; and, when an operation of all has been broken off, to say why."""


class _Worker:
    """The connection to a worker."""

    def __init__(self, index: int, title: str, connection: socket.socket, channel: Channel) -> None:
        self.index, self.title = index, title
        self.failure: WorkerError | None = None
        self._connection, self._channel = connection, channel
        self._doing = ""
        self._told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._is_closing = False
        # Its end, or its failure, must be noticed while this process waits for it in a collective operation.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self, what: str, words: str, **arguments: Any) -> None:
        """Asks for something, `words` for messages."""
        self._doing = words
        try:
            self._channel.send({"do": what, "what": arguments})
        except OSError:
            self._fail(f"{self.title} is gone, before {words}")

    def wait_until_begun(self) -> None:
        """Returns when it has begun, or never will: what is then begun here ends by itself."""
        if self._told.get() is None:
            self._told.put(None)

    def answer(self) -> Any:
        """What it has to say of what it was asked for.

        Raises:
            WorkerError: it is gone, or has failed.
        """
        told = self._told.get()
        if told is None:
            self._told.put(None)  # whoever asks again is told the same
            raise self.failure or WorkerError.told(f"{self.title} is gone")
        return told.get("value")

    def end(self) -> None:
        """Says that the run is over."""
        self._is_closing = True
        with contextlib.suppress(OSError):
            self._channel.send({"do": "end", "what": {}})
            self._reader.join(_SOON)  # it closes its end

    def close(self) -> None:
        """Lets go of it; it notices that."""
        self._is_closing = True
        with contextlib.suppress(OSError):  # it has gone first
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._channel.close()
        self._connection.close()

    def _read(self) -> None:
        while True:
            try:
                told = self._channel.receive()
            except (EOFError, OSError, ValueError):
                if not self._is_closing:
                    self._fail(f"{self.title} has died, or was ended, {self._doing}")
                return
            if "error" in told:
                self._fail(f"{self.title}, {self._doing}: {told['error']['message']}")
                return
            self._told.put(told)

    def _fail(self, message: str) -> None:
        self.failure = self.failure or WorkerError.told(message)
        self._told.put(None)
        collectives.abort(message)
