"""The server in an arm's process: it creates objects that hold the arm's loops, and calls their methods.

All modules of this package are imported first: after `set_aside`, an import could load another revision of it.
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
    """Answers calls until the other end is closed.

    Args:
        channel: connection to the run.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._makers: dict[str, Callable[..., Any]] = {}
        self._objects: list[Any] = []

    def serve(self) -> None:
        """Answers one call after another."""
        while True:
            idle_from = time.process_time()
            self._channel.wait()
            # Processor time used between calls, without that for reading and writing messages.
            idle_processor = time.process_time() - idle_from
            try:
                request = self._channel.receive()
            except EOFError:
                return
            answer = self._answer(request)
            try:
                self._channel.send({**answer, "idle_processor": idle_processor})
            except TypeError as error:  # a value that cannot be sent
                self._channel.send({**_failed(error), "idle_processor": idle_processor})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"value": getattr(self, request["do"])(**request["what"])}
        except (Exception, SystemExit) as error:
            return _failed(error)

    def begin(self, makers: Sequence[str], factory: str, paths: Sequence[str]) -> dict[str, Any]:
        """Imports the makers and the factory; returns the factory's file, package versions and Python's version.

        Args:
            makers: what `make` will be called with, each as module:name.
            factory: as module:factory.
            paths: folders in which the user's modules are looked up.
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
        """Creates an object, keeps it and returns its number."""
        self._objects.append(self._makers[maker](*arguments))
        return len(self._objects) - 1

    def forget(self, number: int) -> None:
        """Releases an object."""
        self._objects[number] = None

    def call(self, number: int, method: str, arguments: Sequence[Any]) -> Any:
        """Calls a method of an object."""
        return getattr(self._objects[number], method)(*arguments)


def _failed(error: BaseException) -> dict[str, Any]:
    """The answer to a call that has raised an error."""
    kind = "other"
    if isinstance(error, failure.LoopError):
        kind = "factory" if isinstance(error, UsageError) else "loop"
    elif isinstance(error, UsageError):
        kind = "usage"
    trace = "".join(traceback.format_exception(error))
    message = str(error) if kind != "other" else failure.located(error)
    return {"error": {"kind": kind, "message": message, "line": failure.error_line(error), "trace": trace}}
