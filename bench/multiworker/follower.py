"""A worker: it does what the chief does, when the chief does it, so that their collective operations meet.

The connection to the chief is as open as TensorFlow's own between the machines: whoever can reach the port can have
loops built here. Both are for networks that are trusted.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loop_bench.arms.channel import Channel
from loop_bench.arms.server import Server
from loop_bench.errors import UsageError
from loop_bench.failure import LoopError
from loop_bench.jobs import folder
from loop_bench.machine.environment import environment
from loop_bench.multiworker.task import Task, named

PATIENCE = 600.0
"""Seconds to look for the chief: schedulers start the processes of a job minutes apart."""

_AGAIN = 0.2
"""Seconds from one attempt to connect to the next."""


class ChiefError(LoopError):
    """The chief has died, or has ended with an error."""


class Follower(Server):
    """Answers the chief; what it has computed stays here, for it is what the chief has computed."""

    def __init__(self, channel: Channel, task: Task, tell: Callable[[str], None]) -> None:
        super().__init__(channel)
        self._task, self._tell = task, tell
        self.is_over = False

    def serve(self) -> None:
        """Does what the chief asks, until it says that the run is over.

        Raises:
            EOFError: the chief is gone.
        """
        while not self.is_over:
            asked = self._channel.receive()
            self._channel.send({"begun": True})  # the chief begins when all have
            self._channel.send(self._answer(asked))

    def introduce(self, loops: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Machine and software of this process, and hashes of the code and scripts that loops are made of.

        Args:
            loops: factory and options of each.
        """
        self._tell(f"following the chief: {', '.join(dict.fromkeys(factory for factory, _ in loops))}")
        return {
            "environment": environment(),
            "fingerprint": folder.fingerprint([(factory, options) for factory, options in loops]),
        }

    def follow(self, number: int, method: str, arguments: Sequence[Any]) -> None:
        """Calls a method of an object as the chief does."""
        self.call(number, method, arguments)

    def end(self) -> None:
        """The run is over."""
        self.is_over = True


def follow(task: Task, tell: Callable[[str], None], patience: float = PATIENCE) -> None:
    """Meets the chief, and follows it until the run is over.

    Args:
        task: of this process.
        tell: is told what happens, in words.
        patience: seconds to look for the chief.

    Raises:
        UsageError: there is no chief.
        ChiefError: it is gone before the run is over.
    """
    where = f"{task.control[0]}:{task.control[1]}"
    tell(f"{task.title}, of {len(task.addresses)} machines: looking for the chief at {where}")
    connection = _connected(task, patience)
    _end_with(connection, f"{named(0, task.addresses)} is gone before the run was over", tell)
    channel = Channel(connection.detach())
    channel.send({"index": task.index, "addresses": task.addresses})
    follower = Follower(channel, task, tell)
    try:
        follower.serve()
    except (EOFError, OSError):
        raise ChiefError.told(f"{named(0, task.addresses)} is gone before the run was over") from None
    finally:
        channel.close()
    tell("the run is over")


def _connected(task: Task, patience: float) -> socket.socket:
    until = time.monotonic() + patience
    while True:
        try:
            found = socket.create_connection(task.control)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return found
        except OSError as error:
            if time.monotonic() > until:
                where = f"{task.control[0]}:{task.control[1]}"
                raise UsageError(f"no chief at {where} ({error.strerror}): start loop-bench run there") from None
            time.sleep(_AGAIN)


def _end_with(connection: socket.socket, message: str, tell: Callable[[str], None]) -> None:
    """Ends this process when the other end of a connection is closed, also while an operation of all waits for it."""
    copy = connection.dup()

    def watch() -> None:
        closed = select.poll()
        closed.register(copy, select.POLLRDHUP)
        closed.poll()
        time.sleep(_GRACE)  # what was sent before is read, and may be the end
        tell(f"error: {message}")
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_GRACE = 1.0
"""Seconds to read the last message, when the chief has closed its end."""


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What of two introductions must be alike and is not, in words; see `Follower.introduce`."""
    found = []
    for name in ("tensorflow", "keras", "numpy"):
        versions = [each["environment"]["versions"].get(name) for each in (theirs, ours)]
        if versions[0] != versions[1]:
            found.append(f"{name} {versions[0]} in place of {versions[1]}")
    for what, here in ours["fingerprint"].items():
        if theirs["fingerprint"].get(what) != here:
            found.append(f"another {what}")
    return found
