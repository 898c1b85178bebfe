"""What the process of an arm answers: it makes objects of our own classes that have its loops, and calls them.

Everything of ours is imported at once: what is imported when ours are set aside would be of another revision.
"""

from __future__ import annotations

import pkgutil
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from loop_bench import failure
from loop_bench.arms.channel import Channel
from loop_bench.errors import UsageError
from loop_bench.jobs.aside import set_aside
from loop_bench.loop import load
from loop_bench.machine.software import versions


class Server:
    """Answers calls until nobody is at the other end.

    Args:
        channel: to the run.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._makers: dict[str, Callable[..., Any]] = {}
        self._made: list[Any] = []

    def serve(self) -> None:
        """Takes a call, answers it, and so on."""
        while True:
            at_rest = time.process_time()
            self._channel.wait()
            # What was used of the processor while nothing was asked; reading and writing of messages is no part of it.
            idle_processor = time.process_time() - at_rest
            try:
                asked = self._channel.receive()
            except EOFError:
                return
            answer = self._answer(asked)
            try:
                self._channel.send({**answer, "idle_processor": idle_processor})
            except TypeError as error:  # a value that no message can hold
                self._channel.send({**_failed(error), "idle_processor": idle_processor})

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"value": getattr(self, asked["do"])(**asked["what"])}
        except (Exception, SystemExit) as error:
            return _failed(error)

    def begin(self, makers: Sequence[str], factory: str, paths: Sequence[str]) -> dict[str, Any]:
        """Imports our core, and finds out where the factory's module is.

        Args:
            makers: what `make` will be asked for, each as module:name.
            factory: as module:factory.
            paths: folders in which the user's modules are looked for.
        """
        self._makers = {name: pkgutil.resolve_name(name) for name in makers}
        sys.path[:] = [*paths, *(entry for entry in sys.path if entry not in paths)]
        set_aside(factory, paths)
        load(factory)
        module = sys.modules[factory.partition(":")[0]]
        return {
            "module": getattr(module, "__file__", None),
            "versions": versions(),
            "python": platform.python_version(),
        }

    def make(self, maker: str, arguments: Sequence[Any]) -> int:
        """Makes an object that stays; gives its number."""
        self._made.append(self._makers[maker](*arguments))
        return len(self._made) - 1

    def forget(self, number: int) -> None:
        """Lets go of an object."""
        self._made[number] = None

    def call(self, number: int, method: str, arguments: Sequence[Any]) -> Any:
        """Calls a method of an object."""
        return getattr(self._made[number], method)(*arguments)


def _failed(error: BaseException) -> dict[str, Any]:
    """The answer to a call that has raised."""
    kind = "other"
    if isinstance(error, failure.LoopError):
        kind = "factory" if isinstance(error, UsageError) else "loop"
    elif isinstance(error, UsageError):
        kind = "usage"
    trace = "".join(traceback.format_exception(error))
    message = str(error) if kind != "other" else failure.located(error)
    return {"error": {"kind": kind, "message": message, "line": failure.error_line(error), "trace": trace}}
