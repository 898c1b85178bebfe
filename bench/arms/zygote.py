"""The process that those of arms are forked from: it has imported TensorFlow, and nothing of the user's.

To start Python and TensorFlow takes seconds, to fork them a fraction of one; so a loop can be timed in many processes,
and by how much one differs from the next be known. The name is that of Chrome's and Android's.
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
"""Seconds for an interpreter to start and to import TensorFlow, also from the disk of a cluster."""

_PROGRAM = "loop_bench.arms.worker"

_MODULES = ("loop_bench.arms.needs", "loop_bench.jobs.imports", "loop_bench.arms.server")


def end_of(code: int, last: str) -> str:
    """What a process that was to go on has died of, in words.

    Args:
        code: its exit code, that of a signal negative.
        last: the last line that it has printed; empty if there is none.
    """
    if code < 0:
        return last_words(code, "")
    return f"ended with code {code}{f'; it printed last: {last}' if last else ''}"


class Zygote:
    """Forks processes of arms for as long as it is entered.

    Args:
        name: of the arm that it is started for, for messages.
        launch: how it is started.
        modules: what the processes will need besides, imported before the first fork.
    """

    def __init__(self, name: str, launch: Launch, modules: Sequence[str] = ()) -> None:
        self._name, self._python = name, launch.python
        self._has_forked = False
        what = [*_MODULES, *modules]
        self._server = ForkServer(what, launch.environment, launch.command, launch.folder, _IMPORTING)

    def __enter__(self) -> Self:
        """Starts it; it imports in the background.

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
        """Begins a process of an arm.

        Args:
            launch: of the arm; interpreter and variables are those of this one.
            output: file for what it prints.
            give: file that it has too: its end of the connection.

        Raises:
            UsageError: the interpreter will not do.
            ForkServerError: the one that forks has died since.
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
        return UsageError(f"{self._name}: {self._python} is no Python in which loops can live: {why}")
