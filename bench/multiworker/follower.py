"""A worker's side of training on several machines: it repeats each call that the chief makes into its loops.

Collective operations meet only if all processes make the same calls. The connection to the chief is as open as
TensorFlow's own between the machines: whoever can reach the port can have loops built here. Both need a trusted
network.
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
"""Seconds to look for the chief: schedulers may start the processes of a job minutes apart."""

_RETRY = 0.2
"""Seconds between two attempts to connect."""


class ChiefError(LoopError):
    """The chief has died, or has ended with an error."""


class Follower(Server):
    """Answers the chief; its results stay here, because the chief computes the same."""

    def __init__(self, channel: Channel, task: Task, tell: Callable[[str], None]) -> None:
        super().__init__(channel)
        self._task, self._tell = task, tell
        self.is_over = False

    def serve(self) -> None:
        """Answers the chief's calls until the run is over.

        Raises:
            EOFError: the chief is gone.
        """
        while not self.is_over:
            request = self._channel.receive()
            self._channel.send({"begun": True})  # the chief waits until every worker has begun
            self._channel.send(self._answer(request))

    def introduce(self, loops: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """This process's machine, software, and hashes of the code and the scripts of the loops.

        Args:
            loops: factory and options of each.
        """
        self._tell(f"following the chief: {', '.join(dict.fromkeys(factory for factory, _ in loops))}")
        return {
            "environment": environment(),
            "fingerprint": folder.fingerprint([(factory, options) for factory, options in loops]),
        }

    def follow(self, number: int, method: str, arguments: Sequence[Any]) -> None:
        """Calls a method of an object, as the chief does, and drops the result."""
        self.call(number, method, arguments)

    def end(self) -> None:
        """Marks the run as over."""
        self.is_over = True


def follow(task: Task, tell: Callable[[str], None], patience: float = PATIENCE) -> None:
    """Connects to the chief, and follows it until the run is over.

    Args:
        task: of this process.
        tell: called with progress messages.
        patience: seconds to look for the chief.

    Raises:
        UsageError: no chief is found in time.
        ChiefError: the chief is gone before the run is over.
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
            connection = socket.create_connection(task.control)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            if time.monotonic() > until:
                where = f"{task.control[0]}:{task.control[1]}"
                raise UsageError(f"no chief at {where} ({error.strerror}): start `loop-bench run` there") from None
            time.sleep(_RETRY)


def _end_with(connection: socket.socket, message: str, tell: Callable[[str], None]) -> None:
    """Ends this process when the chief closes the connection, even while a collective operation waits."""
    duplicate = connection.dup()

    def watch() -> None:
        poller = select.poll()
        poller.register(duplicate, select.POLLRDHUP)
        poller.poll()
        time.sleep(_GRACE)  # the last message is read first: it may say that the run is over
        tell(f"error: {message}")
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_GRACE = 1.0
"""Seconds allowed for reading the last message, after the chief has closed the connection."""


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """Lists in words what two introductions must share and do not; see `Follower.introduce`."""
    differing = []
    for name in ("tensorflow", "keras", "numpy"):
        versions = [introduction["environment"]["versions"].get(name) for introduction in (theirs, ours)]
        if versions[0] != versions[1]:
            differing.append(f"{name} {versions[0]} instead of {versions[1]}")
    for part, own in ours["fingerprint"].items():
        if theirs["fingerprint"].get(part) != own:
            differing.append(f"a different {part}")
    return differing
