"""Code that runs in a worker's process: it runs trials in processes of their own, forked from a fork server.

The worker's own process is Dask's: it runs for long, imports no TensorFlow, and keeps the code that it has imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import pkgutil
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from distributed import WorkerPlugin
from distributed.core import Status

from loop_bench.cluster.examination import Examination, Examined
from loop_bench.cluster.terms import OWN
from loop_bench.document import Frozen
from loop_bench.errors import UsageError
from loop_bench.jobs import folder as folders
from loop_bench.jobs.folder import LockedFolder
from loop_bench.jobs.gather import Processes
from loop_bench.jobs.machines import Machine
from loop_bench.jobs.trial import Result, Trial, read

BEGUN_WITH = folders.code([f"{OWN}:"])[OWN]
"""Digest of this package's code when this process imported it."""

LOCK = Path(tempfile.gettempdir()) / "loop-bench-machine.lock"
"""Lock file held by each trial on this machine, whoever sent it; a timed trial holds it exclusively."""


@dataclasses.dataclass
class _Server:
    """Forks the processes of one class of trials."""

    processes: Processes
    folder: LockedFolder  # for results in transit, and for caches
    stack: contextlib.ExitStack
    users: int = 0


class Engine:
    """The fork servers of this process.

    Attributes:
        machines: by the digest of the terms for which the machine was examined.
        folder: for temporary files: Dask's own folder, which the next worker removes if this one cannot.
        has_nanny: whether Dask's nanny has started this process, and changed its environment.
    """

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.folder: Path | None = None
        self.has_nanny = False
        self._guard = threading.Lock()
        self._servers: dict[tuple[str, str], _Server] = {}
        self._closed = False

    def run(self, trial: Trial[Any], name: str, digest: str) -> Result[Any]:
        """Runs a trial in a process of its own, under its time limit.

        Args:
            trial: to run.
            name: class whose trials share a fork server, as `module:class`.
            digest: of the terms; other code needs another fork server.

        Raises:
            UsageError: the trial is invalid.
            RuntimeError: the fork server has died, or this worker is closing.
        """
        with self._server(name, digest) as server:
            server.processes([trial], server.folder, 1, lambda trial: None)
            path = server.folder.result(trial.key)
            result = read(path, trial)
            path.unlink()
            return result

    def close(self) -> None:
        """Ends all processes, running trials included, and starts no more."""
        with self._guard:
            self._closed = True
            for server in self._servers.values():
                server.stack.close()
            self._servers.clear()

    @contextlib.contextmanager
    def _server(self, name: str, digest: str) -> Iterator[_Server]:
        """The fork server of a class, kept for the next trial; idle ones of other classes are ended to free memory."""
        key = name, digest
        with self._guard:
            if self._closed:
                raise RuntimeError("this worker is closing")
            for idle in [each for each, server in self._servers.items() if each != key and not server.users]:
                self._servers.pop(idle).stack.close()
            server = self._servers.get(key) or self._begin(name)
            self._servers[key] = server
            server.users += 1
        try:
            yield server
        except RuntimeError:  # it has died, as when memory runs out; the next trial starts another
            with self._guard:
                if self._servers.get(key) is server:
                    self._servers.pop(key).stack.close()
            raise
        finally:
            with self._guard:
                server.users -= 1

    def _begin(self, name: str) -> _Server:
        with contextlib.ExitStack() as stack:
            scratch = tempfile.mkdtemp(prefix="loop-bench-", dir=self.folder)
            stack.callback(shutil.rmtree, scratch, ignore_errors=True)
            folder = stack.enter_context(folders.locked(Path(scratch)))
            with _variables_of_nanny() if self.has_nanny else contextlib.nullcontext():
                processes = Processes(pkgutil.resolve_name(name), Examination)
            stack.enter_context(processes)
            return _Server(processes, folder, stack.pop_all())


ENGINE = Engine()


_NAME = "loop-bench"


class Closing(WorkerPlugin):
    """A Dask plugin that ends the trials' processes when their worker closes, because they may hang for long."""

    def teardown(self, worker: Any) -> None:
        """Ends all processes."""
        ENGINE.close()


class Seen(Frozen):
    """A worker's report on itself."""

    examined: Examined | None  # None: the examination has failed
    why: str  # the reason of the failure; empty without one
    resources: dict[str, float]  # that the worker declares
    begun_with: str  # digest of this package's code when the worker's process imported it


async def look(name: str, text: str, digest: str, dask_worker: Any) -> str:
    """Examines a worker's machine, and starts the fork server of its trials.

    Args:
        name: class of the trials, as `module:class`.
        text: the `Examination`, as JSON.
        digest: of the terms for which the machine is examined.
        dask_worker: filled in by Dask.

    Returns:
        `Seen`, as JSON.
    """
    ENGINE.has_nanny, ENGINE.folder = dask_worker.nanny is not None, Path(dask_worker.local_directory)
    if _NAME not in dask_worker.plugins:  # a second one would replace the first, and close it
        await dask_worker.plugin_add(Closing(), name=_NAME)
    trial, why, examined = Examination.model_validate_json(text), "", None
    try:
        result = await asyncio.get_running_loop().run_in_executor(None, ENGINE.run, trial, name, digest)
        examined, why = result.found, result.died
    except (RuntimeError, UsageError) as error:
        why = str(error)
    if examined:
        ENGINE.machines[digest] = examined.machine
    declared = dict(dask_worker.state.total_resources)
    return Seen(examined=examined, why=why, resources=declared, begun_with=BEGUN_WITH).model_dump_json()


async def accept(mark: str, dask_worker: Any) -> None:
    """Gives a worker one unit of the mark, a resource that trials need, so that it may run one trial at a time.

    The scheduler reassigns trials that have lost their worker only when a worker begins to run, not when it gains a
    resource; so the worker is paused for a moment.
    """
    await dask_worker.set_resources(**{mark: 1})
    if dask_worker.status == Status.running:
        dask_worker.status = Status.paused
        dask_worker.status = Status.running


def run_trial(name: str, text: str, digest: str) -> str:
    """Runs a trial on this worker.

    Args:
        name: class of the trial, as `module:class`.
        text: the trial, as JSON.
        digest: of the terms that this worker matches.

    Returns:
        The result, with its machine, as JSON.

    Raises:
        UsageError: the trial is invalid.
        RuntimeError: the fork server has died twice.
    """
    trial: Trial[Any] = pkgutil.resolve_name(name).model_validate_json(text)
    with _machine(alone=trial.is_timed):
        try:
            try:
                result = ENGINE.run(trial, name, digest)
            except RuntimeError:
                result = ENGINE.run(trial, name, digest)
        except UsageError as error:
            raise UsageError(f"{socket.gethostname()}: {error}") from None
    return result.model_copy(update={"machine": ENGINE.machines[digest]}).model_dump_json() + "\n"


@contextlib.contextmanager
def _machine(alone: bool) -> Iterator[None]:
    """Waits until this machine may be used; `alone`: until no other trial uses it."""
    try:
        lock = os.open(LOCK, os.O_RDONLY)
    except FileNotFoundError:
        lock = os.open(LOCK, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _variables_of_nanny() -> Iterator[None]:
    """Undoes the changes that Dask's nanny makes to the environment of its worker, such as OMP_NUM_THREADS=1.

    Loops must run as they do without Dask: with the variables with which the nanny itself was started.
    """
    import dask

    own = dict(os.environ)
    changed = {"PYTHONHASHSEED"}.union(
        *(dask.config.get(f"distributed.nanny.{setting}", None) or {} for setting in ("pre-spawn-environ", "environ"))
    )
    with contextlib.suppress(psutil.Error, AttributeError, OSError):
        original = psutil.Process().parent().environ()
        for name in changed:
            os.environ.pop(name, None)
            if name in original:
                os.environ[name] = original[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(own)
