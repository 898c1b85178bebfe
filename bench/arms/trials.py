"""Trials in the environments of their arms, each in its own process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from typing_extensions import Self

from loop_bench.arms.launch import Launch
from loop_bench.arms.process import ArmError
from loop_bench.errors import UsageError
from loop_bench.jobs.folder import LockedFolder
from loop_bench.jobs.forkserver import ForkServer
from loop_bench.jobs.gather import Done, run_forked
from loop_bench.jobs.trial import Found, LoopTrial


class ProcessesElsewhere:
    """Runs trials where their arms live, forked from a process that has imported TensorFlow; a `Run`.

    While it is entered, these processes serve any number of gatherings. They import in the background. The factory is
    imported by the trial's own process, as for trials in this environment.

    Args:
        launches: how to start processes of each arm.
        kinds: the classes of the trials, whose work must need only the core of this package.
    """

    def __init__(self, launches: Mapping[str, Launch], *kinds: type[LoopTrial[Any]]) -> None:
        modules = [*dict.fromkeys(module for kind in kinds for module in kind.preload())]
        self._launches = launches
        self._servers = {
            arm: ForkServer(modules, launch.environment, launch.command, launch.folder)
            for arm, launch in launches.items()
        }

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:  # a failure half-way also leaves nothing behind
            for server in self._servers.values():
                stack.enter_context(server)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stack.close()

    def wait_until_ready(self) -> None:
        """Blocks until all fork servers have imported everything and are idle.

        Raises:
            ArmError: a fork server has died.
        """
        for arm, server in self._servers.items():
            with _named(arm):
                server.wait_until_ready()

    def __call__(self, trials: Sequence[LoopTrial[Found]], folder: LockedFolder, workers: int, done: Done) -> None:
        """Runs trials of one class, those of one arm after those of the other.

        Raises:
            UsageError: a trial is invalid.
            ArmError: a fork server has died.
        """
        kind = type(trials[0])
        for arm in dict.fromkeys(trial.arm for trial in trials):
            launch, own = self._launches[arm], [trial for trial in trials if trial.arm == arm]
            paths = os.pathsep.join(launch.paths)

            def program(trial: LoopTrial[Found], paths: str = paths) -> tuple[str, ...]:
                return "-m", "loop_bench.jobs.elsewhere", trial.work, trial.model_dump_json(), paths

            # A folder for each arm: code that TensorFlow has compiled does not suit another version of it.
            environment = kind.environment(folder.path / arm, launch.environment)
            with _named(arm):
                run_forked(self._servers[arm], own, program, folder, workers, done, environment)


@contextlib.contextmanager
def _named(arm: str) -> Iterator[None]:
    """Adds the arm's name to errors that are raised inside."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{arm}: {error}") from error
    except RuntimeError as error:
        raise ArmError.told(f"{arm}: {error}") from error
