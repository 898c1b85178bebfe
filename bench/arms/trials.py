"""Trials of loops that live elsewhere: each runs in a process of its own, in the environment of its arm."""

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
    """Runs trials where their arms live, forked from a process of the arm that has imported TensorFlow; a `Run`.

    While it is entered, those serve any number of gatherings. They import in the background. What imports the factory
    there is the process of the trial, as here.

    Args:
        launches: how processes of each arm are started.
        kinds: the classes of the trials, whose work and what is imported for it need no more than the core.
    """

    def __init__(self, launches: Mapping[str, Launch], *kinds: type[LoopTrial[Any]]) -> None:
        modules = [*dict.fromkeys(module for kind in kinds for module in kind.preload())]
        self._launches = launches
        self._servers = {
            arm: ForkServer(modules, launch.environment, launch.command, launch.folder)
            for arm, launch in launches.items()
        }

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:  # what fails in the middle leaves nothing either
            for server in self._servers.values():
                stack.enter_context(server)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stack.close()

    def wait_until_ready(self) -> None:
        """Returns when all have imported everything, and are idle.

        Raises:
            ArmError: one has died of it.
        """
        for arm, server in self._servers.items():
            with _named(arm):
                server.wait_until_ready()

    def __call__(self, trials: Sequence[LoopTrial[Found]], folder: LockedFolder, workers: int, done: Done) -> None:
        """Runs trials of one class, those of one arm after those of the other.

        Raises:
            UsageError: a trial asks for something wrong.
            ArmError: the process that forks has died.
        """
        kind = type(trials[0])
        for arm in dict.fromkeys(trial.arm for trial in trials):
            launch, own = self._launches[arm], [trial for trial in trials if trial.arm == arm]
            paths = os.pathsep.join(launch.paths)

            def program(trial: LoopTrial[Found], paths: str = paths) -> tuple[str, ...]:
                return "-m", "loop_bench.jobs.elsewhere", trial.work, trial.model_dump_json(), paths

            # What TensorFlow has compiled for one arm is not for another version of it.
            environment = kind.environment(folder.path / arm, launch.environment)
            with _named(arm):
                run_forked(self._servers[arm], own, program, folder, workers, done, environment)


@contextlib.contextmanager
def _named(arm: str) -> Iterator[None]:
    """What is raised in here names the arm."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{arm}: {error}") from error
    except RuntimeError as error:
        raise ArmError.told(f"{arm}: {error}") from error
