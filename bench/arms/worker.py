"""The process of an arm: makes objects of our own classes that have its loops, and calls them; nothing imports it.

    LAUNCH loop_bench.arms.worker DESCRIPTOR

It needs NumPy and TensorFlow, of the versions that this package supports, and of ours no more than its core.
"""

from __future__ import annotations

import faulthandler
import importlib.machinery
import importlib.util
import pkgutil
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from loop_bench.arms.launch import SAYS
from loop_bench.jobs.parent import die, die_first, die_with_parent

if TYPE_CHECKING:  # it imports NumPy, which an environment may lack: then that is said
    from loop_bench.arms.channel import Channel

_OURS = __name__.partition(".")[0] if __name__ != "__main__" else "loop_bench"

_NEEDED = ("numpy", "tensorflow")


def missing() -> list[str]:
    """What this environment lacks; nothing is imported for it."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


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

    def ready(self) -> None:
        """Whether it answers: an interpreter that can do nothing else for us has come this far."""

    def begin(self, makers: Sequence[str], factory: str, paths: Sequence[str]) -> dict[str, Any]:
        """Imports our core, and finds out where the factory's module is.

        Args:
            makers: what `make` will be asked for, each as module:name.
            factory: as module:factory.
            paths: folders in which the user's modules are looked for.
        """
        from loop_bench.loop import load  # before ours are set aside
        from loop_bench.machine.software import versions

        self._makers = {name: pkgutil.resolve_name(name) for name in makers}
        if factory.partition(".")[0] == _OURS and importlib.machinery.PathFinder.find_spec(_OURS, list(paths)):
            self._set_aside()
        load(factory)
        module = sys.modules[factory.partition(":")[0]]
        return {
            "module": getattr(module, "__file__", None),
            "versions": versions(),
            "python": platform.python_version(),
        }

    @staticmethod
    def _set_aside() -> None:
        """Has our own package be imported anew, from where the user's modules are: it is what is compared.

        What is imported already stays at work under its own references.
        """
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{_OURS}.")]:
            del sys.modules[name]

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
    from loop_bench import failure
    from loop_bench.errors import UsageError

    kind = "other"
    if isinstance(error, failure.LoopError):
        kind = "factory" if isinstance(error, UsageError) else "loop"
    elif isinstance(error, UsageError):
        kind = "usage"
    trace = "".join(traceback.format_exception(error))
    message = str(error) if kind != "other" else failure.located(error)
    return {"error": {"kind": kind, "message": message, "line": failure.error_line(error), "trace": trace}}


def main(descriptor: int) -> NoReturn:
    """Serves, and ends this process."""
    die_with_parent()
    die_first()
    faulthandler.enable(all_threads=False)  # where it crashes
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # where it hangs
    if lacking := missing():
        sys.exit(f"{SAYS}has no {' and no '.join(lacking)}")
    from loop_bench.arms.channel import Channel

    Server(Channel(descriptor)).serve()
    die()  # what the loop has started must not go on; and what TensorFlow does when Python ends can only spoil it


if __name__ == "__main__":
    main(int(sys.argv[1]))
