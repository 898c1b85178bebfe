"""The engine of experiments: it runs the trials that have no result yet, wherever they run, and reads all results."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from loop_bench.jobs import folder as folders
from loop_bench.jobs import pool
from loop_bench.jobs.folder import LockedFolder
from loop_bench.jobs.forkserver import ForkServer
from loop_bench.jobs.kinds import of_one_kind
from loop_bench.jobs.machines import Machine
from loop_bench.jobs.pool import Death, Job
from loop_bench.jobs.trial import Found, Result, Trial, attempt, read, result_class
from loop_bench.writing import write_whole

Done = Callable[[Any], None]
"""Called with each trial that has ended."""

Run = Callable[[Sequence[Any], LockedFolder, int, Done], None]
"""Runs trials, a given number at a time: each leaves its result in the folder, and is then reported as done."""


class OtherMachines(abc.ABC):
    """A `Run` on other machines than the one that gathers the results; it is prepared by two calls."""

    @abc.abstractmethod
    def conditions(self, environment: Mapping[str, Any]) -> dict[str, Any]:
        """The part of the gathering machine's environment that must be unchanged when a folder is resumed."""

    @abc.abstractmethod
    def begin(self, environment: Mapping[str, Any], known: Machine | None, trials: Sequence[Any]) -> None:
        """Announces the trials of a gathering, before any of them runs.

        Args:
            environment: that loops need.
            known: a machine that has earlier results; None: there are none.
            trials: all trials, including finished ones.
        """

    @abc.abstractmethod
    def __call__(self, trials: Sequence[Any], folder: LockedFolder, workers: int, done: Done) -> None:
        """Runs trials of one class, whose results, each with its machine, are written to a local folder."""


class Processes:
    """Runs trials on this machine, each in a process that is forked from one that has imported TensorFlow.

    While it is entered, its fork server serves any number of gatherings. It imports in the background.

    Args:
        kinds: the classes of the trials.
    """

    def __init__(self, *kinds: type[Trial[Any]]) -> None:
        modules = dict.fromkeys(module for kind in kinds for module in kind.preload())
        self._server = ForkServer([*modules], {**os.environ, **pool.loop_environment()})

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._server.__exit__(kind, error, _)

    def wait_until_ready(self) -> None:
        """Blocks until the fork server has imported everything and is idle.

        Raises:
            RuntimeError: the fork server has died.
        """
        self._server.wait_until_ready()

    def __call__(self, trials: Sequence[Trial[Found]], folder: LockedFolder, workers: int, done: Done) -> None:
        """Runs trials of one class.

        Raises:
            UsageError: a trial is invalid.
        """
        kind = type(trials[0])
        name = f"{kind.__module__}:{kind.__qualname__}"

        def program(trial: Trial[Found]) -> tuple[str, ...]:
            return "-m", "loop_bench.jobs.process", name, trial.model_dump_json()

        run_forked(self._server, trials, program, folder, workers, done, kind.environment(folder.path))


def run_forked(
    server: ForkServer,
    trials: Sequence[Trial[Found]],
    program: Callable[[Any], tuple[str, ...]],
    folder: LockedFolder,
    workers: int,
    done: Done,
    environment: Mapping[str, str],
) -> None:
    """Runs trials in processes of a fork server; a process that dies without a result gets one that says so.

    Args:
        server: entered.
        trials: with unique keys.
        program: returns Python's arguments for the process of a trial, except the last one, the result's path.
        folder: for the results.
        workers: processes at a time.
        done: called with each trial that has ended.
        environment: variables of these processes, added to those of the server.

    Raises:
        UsageError: a trial is invalid.
        RuntimeError: the fork server has died.
    """
    by_key = {trial.key: trial for trial in trials}

    def died(job: Job, death: Death) -> str:
        trial = by_key[job.name]
        result = result_class(trial)(ended=death.how, why=death.why, seconds=death.seconds, time_limit=trial.time_limit)
        return result.model_dump_json() + "\n"

    jobs = [Job(key, program(trial), trial.title, trial.time_limit) for key, trial in by_key.items()]
    pool.run(server, jobs, folder, workers, died, lambda job: done(by_key[job.name]), environment)


def in_processes(trials: Sequence[Trial[Found]], folder: LockedFolder, workers: int, done: Done) -> None:
    """Runs trials of one class with a fork server of their own; see Processes."""
    with Processes(type(trials[0])) as run:
        run(trials, folder, workers, done)


def inline(trials: Sequence[Trial[Found]], folder: LockedFolder, workers: int, done: Done) -> None:
    """Runs trials in this process, one after the other and without a time limit: for tests of the code around them.

    Raises:
        UsageError: a trial is invalid.
    """
    for trial in trials:
        write_whole(folder.result(trial.key), attempt(trial).model_dump_json() + "\n")
        done(trial)


def gather(
    trials: Iterable[Trial[Found]],
    folder: Path,
    *,
    environment: Mapping[str, Any],
    workers: int = 1,
    progress: Callable[[str], None] = lambda title: None,
    run: Run = in_processes,
) -> Results[Found]:
    """Runs the trials that have no result, or had too little time; returns all results by key.

    A trial's process writes its own result as its last action, so that every result that exists is whole, and an
    experiment resumes in the same folder however it was interrupted.

    Args:
        trials: of one class; those with the same key are one trial.
        folder: for the results; created if it is missing.
        environment: this machine and its software, which must be the same as when the folder was begun; where trials
            run on other machines, only the software must.
        workers: trials at a time.
        progress: called with the title of each trial that is done, earlier ones included.
        run: where the trials run.

    Raises:
        UsageError: the folder cannot be written, is in use, or holds results of another machine, software or code; a
            trial is invalid; or timed trials ran on several kinds of machine.
        InvalidRecordError: the folder holds a result that cannot be read.
    """
    by_key = {trial.key: trial for trial in trials}
    conditions = run.conditions(environment) if isinstance(run, OtherMachines) else environment
    fingerprint = folders.fingerprint([loop for trial in by_key.values() for loop in trial.loops])
    with folders.locked(folder) as locked:
        folders.same_conditions(folder, {**conditions, **fingerprint})
        results, left, earlier = Results(locked.result, by_key), [], None
        for trial in by_key.values():
            if result := _done(trial, locked.result(trial.key)):
                earlier = earlier or result.machine
                progress(trial.title)
            else:
                left.append(trial)
        timed, waiting = [trial for trial in by_key.values() if trial.is_timed], {trial.key for trial in left}
        of_one_kind((trial for trial in timed if trial.key not in waiting), results, f"folder {folder}")
        if isinstance(run, OtherMachines):
            run.begin(environment, earlier, [*by_key.values()])
        if left:
            run(left, locked, workers, lambda trial: progress(trial.title))
        for trial in left:
            read(locked.result(trial.key), trial)
        of_one_kind(timed, results, f"folder {folder}")
        return results


def _done(trial: Trial[Found], path: Path) -> Result[Found] | None:
    """The existing result, if it counts; one that deserves a retry is deleted."""
    if not path.exists():
        return None
    result = read(path, trial)
    if not result.deserves_retry(trial):
        return result
    path.unlink()
    return None


class Results(Mapping[str, Result[Found]]):
    """Results of trials by key, each read from its file on access: all of them need not fit into memory.

    Args:
        path: returns the file of the result with a key.
        trials: by key; each must have a readable result.
    """

    def __init__(self, path: Callable[[str], Path], trials: Mapping[str, Trial[Found]]) -> None:
        self._path = path
        self._trials = trials

    def __getitem__(self, key: str) -> Result[Found]:
        return read(self._path(key), self._trials[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)
