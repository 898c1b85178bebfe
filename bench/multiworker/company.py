"""The chief's side of training on several machines: each call into its loops is repeated on every worker.

The chief measures one loop on all machines: a batch ends when all have trained it, so its clock speaks for all.
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
    """A worker has died, or its loop has failed; the message is one line that names the worker."""


class Together:
    """Stands for an object here and its counterpart on every worker; each method is called on all at once."""

    def __init__(self, company: Company, own: Any, number: int, title: str) -> None:
        self._company, self._own, self._number, self._title = company, own, number, title

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            return self._do("follow", name, arguments)[0]

        return call

    def everywhere(self, name: str, *arguments: Any) -> list[Any]:
        """The results of a method on each machine, the chief's first."""
        return self._do("call", name, arguments)

    def _do(self, what: str, name: str, arguments: Sequence[Any]) -> list[Any]:
        fields = {"number": self._number, "method": name, "arguments": arguments}
        words = f"calling {name}() of {self._title}"
        return self._company.do(what, words, lambda: getattr(self._own, name)(*arguments), **fields)


class Company:
    """The workers that follow this process, the chief.

    Args:
        task: of this process.
        loops: factory and options of each loop.
        tell: called with progress messages.
        patience: seconds to wait for all workers.

    Attributes:
        machines: the environment of each process, as `machine.environment.environment` returns it, the chief's first.
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
        """Waits for all workers, and checks that they have the chief's code and software.

        Raises:
            UsageError: a worker does not connect, or differs; the message says which, and how.
        """
        try:
            self._connect()
            self._compare()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:  # after an error, workers may be in the middle of a call
            for worker in self._workers:
                worker.end()
        self._close()

    def begin(self, makers: Sequence[str]) -> None:
        """Imports the makers on the workers, and the factories' modules on all machines at once.

        A module may create its strategy on import, which waits until every machine does so.

        Args:
            makers: what `make` will be called with, each as module:name.

        Raises:
            UsageError: a factory cannot be loaded.
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
        """Creates an object here and on every worker.

        Args:
            maker: creates it; one of those given to `begin`, as module:name.
            arguments: plain values; the first is a factory's name.
        """
        title, make = str(arguments[0]), pkgutil.resolve_name(maker)
        own, number, *_ = self.do(  # the number is the same on every worker
            "make", f"loading {title}", lambda: make(*arguments), maker=maker, arguments=arguments
        )
        return Together(self, own, number, title)

    def do(self, what: str, words: str, own: Callable[[], Any], **arguments: Any) -> list[Any]:
        """Does the same on every worker and here, all at once; returns each result, the chief's first.

        Args:
            what: name of a method of `Follower`.
            words: describes the call in messages, after the name of a worker.
            own: does the same in this process.
            arguments: of the method.

        Raises:
            WorkerError: a worker has died or failed.
        """
        for worker in self._workers:
            worker.begin(what, words, **arguments)
        for worker in self._workers:  # before this process begins, so that its timing does not include their start
            worker.wait_until_begun()
        try:
            result = own()
        except Exception as error:
            if _BROKEN_OFF.search(str(error)) and (cause := self._cause()):
                raise cause from None
            raise
        return [result, *(worker.answer() for worker in self._workers)]

    def _cause(self) -> WorkerError | None:
        """The failure of a worker that has broken off a collective operation, if one reports it."""
        until = time.monotonic() + _SOON
        while time.monotonic() < until:
            for worker in self._workers:
                if worker.failure:
                    return worker.failure
            time.sleep(0.05)
        return None

    def _connect(self) -> None:
        host, port = self._task.control
        try:
            listener = socket.create_server((host, port), backlog=len(self._task.addresses))
        except OSError as error:
            raise UsageError(f"{host}:{port}: cannot listen for workers ({error.strerror})") from None
        missing = dict.fromkeys(range(1, len(self._task.addresses)))
        until = time.monotonic() + self._patience
        with listener:
            while missing:
                names = ", ".join(named(index, self._task.addresses) for index in missing)
                self._tell(f"waiting for {names}; start `loop-bench worker` there")
                listener.settimeout(max(0.0, until - time.monotonic()) or 0.001)
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    raise UsageError(
                        f"{names}: not connected after {self._patience:g} s; start `loop-bench worker` there"
                    ) from None
                worker = self._accepted(connection, missing)
                if worker is not None:
                    del missing[worker.index]
                    self._workers.append(worker)
        self._workers.sort(key=lambda worker: worker.index)

    def _accepted(self, connection: socket.socket, missing: Mapping[int, None]) -> _Worker | None:
        """The worker at the other end of a connection; None for anything else that has found the port."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(True)
        _limit(connection, _SOON)  # a stray client may send part of a message and stop
        channel = Channel(os.dup(connection.fileno()))
        try:
            introduction = channel.receive(_SOON)
            index, addresses = introduction["index"], tuple(introduction["addresses"])
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
            if differing := differences(theirs, ours):
                raise UsageError(f"{worker.title} has {', '.join(differing)}: all machines need the same")
        self.machines = (ours["environment"], *(theirs["environment"] for theirs in others))

    def _close(self) -> None:
        for worker in self._workers:
            worker.close()


def _limit(connection: socket.socket, seconds: float) -> None:
    """Lets reads of a connection fail when nothing arrives for `seconds`; 0: never."""
    whole, rest = divmod(seconds, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(whole), int(1e6 * rest)))


_BROKEN_OFF = re.compile("[Cc]ollective|UnavailableError|CancelledError")
"""Found in TensorFlow's errors when a participant has left a collective operation."""

_SOON = 5.0
"""Seconds for a worker to introduce itself; and, after a collective operation was broken off, to report why."""


class _Worker:
    """The chief's connection to a worker."""

    def __init__(self, index: int, title: str, connection: socket.socket, channel: Channel) -> None:
        self.index, self.title = index, title
        self.failure: WorkerError | None = None
        self._connection, self._channel = connection, channel
        self._current = ""
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._is_closing = False
        # A worker's end or failure must be noticed while this process waits for it in a collective operation.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self, what: str, words: str, **arguments: Any) -> None:
        """Sends a call; `words` describe it in messages."""
        self._current = words
        try:
            self._channel.send({"do": what, "what": arguments})
        except OSError:
            self._fail(f"{self.title} was gone before {words}")

    def wait_until_begun(self) -> None:
        """Blocks until the worker has begun, or has failed: then the call that begins here ends by itself."""
        if self._messages.get() is None:
            self._messages.put(None)

    def answer(self) -> Any:
        """The result of the current call.

        Raises:
            WorkerError: the worker is gone or has failed.
        """
        message = self._messages.get()
        if message is None:
            self._messages.put(None)  # for later calls
            raise self.failure or WorkerError.told(f"{self.title} is gone")
        return message.get("value")

    def end(self) -> None:
        """Tells the worker that the run is over."""
        self._is_closing = True
        with contextlib.suppress(OSError):
            self._channel.send({"do": "end", "what": {}})
            self._reader.join(_SOON)  # until the worker closes its end

    def close(self) -> None:
        """Closes the connection, which the worker notices."""
        self._is_closing = True
        with contextlib.suppress(OSError):  # the worker has closed it already
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._channel.close()
        self._connection.close()

    def _read(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except (EOFError, OSError, ValueError):
                if not self._is_closing:
                    self._fail(f"{self.title} died or was ended while {self._current}")
                return
            if "error" in message:
                self._fail(f"{self.title}, while {self._current}: {message['error']['message']}")
                return
            self._messages.put(message)

    def _fail(self, message: str) -> None:
        self.failure = self.failure or WorkerError.told(message)
        self._messages.put(None)
        collectives.abort(message)
