"""The engine of experiments: trials that are not done yet are run, wherever that is, and all results are read."""

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
"""Is told of each trial that has come to its end."""

Run = Callable[[Sequence[Any], LockedFolder, int, Done], None]
"""Where trials run: has each leave its result in the folder, so many at a time, and tells of each that is done."""


class OtherMachines(abc.ABC):
    """Where trials run on other machines than the one that gathers them; a `Run` that is asked two things before."""

    @abc.abstractmethod
    def conditions(self, environment: Mapping[str, Any]) -> dict[str, Any]:
        """What of the gathering machine's environment must stay the same for as long as a folder is gone on with."""

    @abc.abstractmethod
    def begin(self, environment: Mapping[str, Any], known: Machine | None, trials: Sequence[Any]) -> None:
        """Is told what a gathering is of, before any of it is run.

        Args:
            environment: that loops are to have.
            known: a machine of which results are there already; None: there are none.
            trials: all of them, those that are done too.
        """

    @abc.abstractmethod
    def __call__(self, trials: Sequence[Any], folder: LockedFolder, workers: int, done: Done) -> None:
        """Has trials of one class leave their results, each with its machine, in a folder of this one."""


class Processes:
    """Runs trials in processes of their own on this machine, forked from one that has imported TensorFlow.

    While it is entered, that one serves any number of gatherings. It imports in the background.

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
        """Returns when that one has imported everything, and is idle.

        Raises:
            RuntimeError: it has died of it.
        """
        self._server.wait_until_ready()

    def __call__(self, trials: Sequence[Trial[Found]], folder: LockedFolder, workers: int, done: Done) -> None:
        """Runs trials of one class.

        Raises:
            UsageError: a trial asks for something wrong.
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
    """Runs trials in processes of a fork server; one that leaves no result has its death for one.

    Args:
        server: entered.
        trials: with keys that are theirs alone.
        program: gives the arguments of Python for the process of a trial, without the last one: the result's path.
        folder: for the results.
        workers: processes at a time.
        done: is told of each trial that has come to its end.
        environment: variables of these processes, besides those of the server.

    Raises:
        UsageError: a trial asks for something wrong.
        RuntimeError: the server has died.
    """
    by_key = {trial.key: trial for trial in trials}

    def died(job: Job, death: Death) -> str:
        trial = by_key[job.name]
        result = result_class(trial)(ended=death.how, why=death.why, seconds=death.seconds, time_limit=trial.time_limit)
        return result.model_dump_json() + "\n"

    jobs = [Job(key, program(trial), trial.title, trial.time_limit) for key, trial in by_key.items()]
    pool.run(server, jobs, folder, workers, died, lambda job: done(by_key[job.name]), environment)


def in_processes(trials: Sequence[Trial[Found]], folder: LockedFolder, workers: int, done: Done) -> None:
    """Runs trials of one class in processes that are begun for them alone; see Processes."""
    with Processes(type(trials[0])) as run:
        run(trials, folder, workers, done)


def inline(trials: Sequence[Trial[Found]], folder: LockedFolder, workers: int, done: Done) -> None:
    """Runs trials in this process, one after the other and without a time limit: for tests of all that is around them.

    Raises:
        UsageError: a trial asks for something wrong.
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
    """Runs all trials that have no result yet, or one for which the time was too short; returns all results by key.

    A trial's process writes its result itself, as the last thing that it does: so a result that is there is whole, and
    an experiment that was interrupted in whatever way resumes in the same folder.

    Args:
        trials: of one class; those with one key are one trial.
        folder: for the results; made if it is missing.
        environment: this machine and its software, which must be what they were when the folder was begun; where
            trials run on other machines, only the software.
        workers: trials at a time.
        progress: is told the title of each trial that is done, those that were done before among them.
        run: where the trials run.

    Raises:
        UsageError: the folder cannot be written, is in use, or holds results of another machine, software or code; or
            a trial asks for something wrong; or trials that are timed ran on several kinds of machine.
        InvalidRecordError: the folder holds a result that cannot be read.
    """
    by_key = {trial.key: trial for trial in trials}
    conditions = run.conditions(environment) if isinstance(run, OtherMachines) else environment
    made_of = folders.fingerprint([loop for trial in by_key.values() for loop in trial.loops])
    with folders.locked(folder) as locked:
        folders.same_conditions(folder, {**conditions, **made_of})
        found, left, known = Results(locked.result, by_key), [], None
        for trial in by_key.values():
            if result := _done(trial, locked.result(trial.key)):
                known = known or result.machine
                progress(trial.title)
            else:
                left.append(trial)
        timed, waiting = [trial for trial in by_key.values() if trial.is_timed], {trial.key for trial in left}
        of_one_kind((trial for trial in timed if trial.key not in waiting), found, f"folder {folder}")
        if isinstance(run, OtherMachines):
            run.begin(environment, known, [*by_key.values()])
        if left:
            run(left, locked, workers, lambda trial: progress(trial.title))
        for trial in left:
            read(locked.result(trial.key), trial)
        of_one_kind(timed, found, f"folder {folder}")
        return found


def _done(trial: Trial[Found], path: Path) -> Result[Found] | None:
    """The result that is there, if it counts; one that deserves a retry is removed."""
    if not path.exists():
        return None
    result = read(path, trial)
    if not result.deserves_retry(trial):
        return result
    path.unlink()
    return None


class Results(Mapping[str, Result[Found]]):
    """Results of trials by key, each read from its file whenever it is asked for: all of them need not fit into memory.

    Args:
        path: gives the file of the result with a key.
        trials: by key; each has a result that can be read.
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
