"""Zygote: the process from which the processes of arms are forked. It has imported TensorFlow and no user module.

Starting Python and TensorFlow takes seconds, forking them a fraction of one; so a loop can be timed in many processes,
and the differences between processes measured. The name follows Chrome's and Android's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from typing_extensions import Self

from loop_bench.arms.launch import Launch
from loop_bench.errors import UsageError
from loop_bench.jobs.forkserver import Forked, ForkServer, ForkServerError
from loop_bench.jobs.parent import SAYS
from loop_bench.jobs.pool import last_words

_IMPORTING = 600.0
"""Seconds allowed for starting an interpreter and importing TensorFlow, also from the disk of a cluster."""

_PROGRAM = "loop_bench.arms.worker"

_MODULES = ("loop_bench.arms.needs", "loop_bench.jobs.imports", "loop_bench.arms.server")


def end_of(code: int, last: str) -> str:
    """Describes how a process died that was not meant to end.

    Args:
        code: its exit code; negative: the number of the signal that killed it.
        last: the last line that it printed; empty if there is none.
    """
    if code < 0:
        return last_words(code, "")
    return f"ended with code {code}{f'; it printed last: {last}' if last else ''}"


class Zygote:
    """Forks processes of arms while it is entered.

    Args:
        name: of the arm that it is started for, used in messages.
        launch: how to start it.
        modules: further modules that the processes need; imported before the first fork.
    """

    def __init__(self, name: str, launch: Launch, modules: Sequence[str] = ()) -> None:
        self._name, self._python = name, launch.python
        self._has_forked = False
        imports = [*_MODULES, *modules]
        self._server = ForkServer(imports, launch.environment, launch.command, launch.folder, _IMPORTING)

    def __enter__(self) -> Self:
        """Starts the process, which imports in the background.

        Raises:
            UsageError: the interpreter cannot be started.
        """
        try:
            self._server.__enter__()
        except OSError as error:
            raise UsageError(f"{self._name}: {self._python} cannot be started ({error.strerror})") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._server.__exit__(kind, error, _)

    def fork(self, launch: Launch, output: int, give: int) -> Forked:
        """Forks a process of an arm.

        Args:
            launch: of the arm; its interpreter and variables must be those of this zygote.
            output: file for the output of the process.
            give: file that the process inherits: its end of the connection.

        Raises:
            UsageError: the interpreter is unsuitable.
            ForkServerError: the zygote has died after its first fork.
        """
        path = {"PYTHONPATH": launch.environment["PYTHONPATH"]}
        try:
            forked = self._server.start(["-m", _PROGRAM], output, (), path, [give], launch.folder)
        except TimeoutError:
            raise self._unfit(f"no answer within {_IMPORTING:g} s") from None
        except ForkServerError as error:
            if self._has_forked:
                raise
            raise self._unfit(end_of(error.code, error.last), error.last) from error
        self._has_forked = True
        return forked

    def _unfit(self, why: str, last: str = "") -> UsageError:
        if last.startswith(SAYS):
            return UsageError(f"{self._name}: {self._python} {last.removeprefix(SAYS)}")
        return UsageError(f"{self._name}: {self._python} cannot run loops: {why}")
