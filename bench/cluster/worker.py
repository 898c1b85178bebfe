"""What runs in the process of a worker: trials, each in a process of its own that is forked from one begun there.

The worker's own process is Dask's: it lives long, imports no TensorFlow, and keeps the code that it once imported.
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
"""The code of this package when this process imported it."""

LOCK = Path(tempfile.gettempdir()) / "loop-bench-machine.lock"
"""Held by each trial on this machine, whoever has sent it: alone by one that is timed."""


@dataclasses.dataclass
class _Server:
    """Forks the processes of one class of trials."""

    processes: Processes
    folder: LockedFolder  # that results pass through, and that caches stay in
    stack: contextlib.ExitStack
    users: int = 0


class Engine:
    """The fork servers of this process.

    Attributes:
        machines: by the digest of the terms that the machine was examined for.
        folder: for what passes through this process: Dask's own, which the next worker removes if this one cannot.
        has_nanny: whether Dask's nanny has begun this process, and changed its environment.
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
            trial: to be run.
            name: of the class whose trials share a fork server, as `module:class`.
            digest: of the terms; processes of other code are begun anew.

        Raises:
            UsageError: the trial asks for something wrong.
            RuntimeError: the process that forks has died, or this one ends.
        """
        with self._server(name, digest) as server:
            server.processes([trial], server.folder, 1, lambda done: None)
            path = server.folder.result(trial.key)
            result = read(path, trial)
            path.unlink()
            return result

    def close(self) -> None:
        """Ends all processes, and begins no more; a trial that runs ends with them."""
        with self._guard:
            self._closed = True
            for server in self._servers.values():
                server.stack.close()
            self._servers.clear()

    @contextlib.contextmanager
    def _server(self, name: str, digest: str) -> Iterator[_Server]:
        """The one of a class, which stays for the next trial; idle ones of others are ended, for their memory."""
        key = name, digest
        with self._guard:
            if self._closed:
                raise RuntimeError("this worker is being closed")
            for other in [each for each, server in self._servers.items() if each != key and not server.users]:
                self._servers.pop(other).stack.close()
            server = self._servers.get(key) or self._begin(name)
            self._servers[key] = server
            server.users += 1
        try:
            yield server
        except RuntimeError:  # it has died, as when memory runs out: who comes next begins another
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
    """A plugin of Dask's that ends the processes when their worker is closed: what runs there may hang for long."""

    def teardown(self, worker: Any) -> None:
        """Ends them."""
        ENGINE.close()


class Seen(Frozen):
    """What a worker says of itself."""

    examined: Examined | None  # None: the examination has failed
    why: str  # it has
    resources: dict[str, float]  # that it declares
    begun_with: str  # digest of this package's code in the worker's process


async def look(name: str, text: str, digest: str, dask_worker: Any) -> str:
    """Examines the machine of a worker, and begins the process that its trials are forked from.

    Args:
        name: of the class of the trials, as `module:class`.
        text: the `Examination`, as JSON.
        digest: of the terms that it is examined for.
        dask_worker: filled in by Dask.

    Returns:
        `Seen`, as JSON.
    """
    ENGINE.has_nanny, ENGINE.folder = dask_worker.nanny is not None, Path(dask_worker.local_directory)
    if _NAME not in dask_worker.plugins:  # a second one would take the place of the first, and have it closed
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
    """Gives a worker one unit of a resource, the mark: it may run trials that need it, one at a time.

    The scheduler looks for a worker for trials that have lost theirs when one begins to run, and not when one gets
    a resource; so this one pauses for a moment.
    """
    await dask_worker.set_resources(**{mark: 1})
    if dask_worker.status == Status.running:
        dask_worker.status = Status.paused
        dask_worker.status = Status.running


def run_trial(name: str, text: str, digest: str) -> str:
    """Runs a trial on this worker.

    Args:
        name: of its class, as `module:class`.
        text: the trial, as JSON.
        digest: of the terms that this worker was found to keep.

    Returns:
        The result, with its machine, as JSON.

    Raises:
        UsageError: the trial asks for something wrong.
        RuntimeError: the process that forks has died twice.
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
    """Waits until this machine may be used; by no other trial if it is to be used alone."""
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
    """Takes back what Dask's nanny puts into the environment of its worker, such as OMP_NUM_THREADS=1.

    Loops are to run as they do without Dask: with the variables that the nanny itself was begun with.
    """
    import dask

    ours = dict(os.environ)
    changed = {"PYTHONHASHSEED"}.union(
        *(dask.config.get(f"distributed.nanny.{each}", None) or {} for each in ("pre-spawn-environ", "environ"))
    )
    with contextlib.suppress(psutil.Error, AttributeError, OSError):
        there = psutil.Process().parent().environ()
        for name in changed:
            os.environ.pop(name, None)
            if name in there:
                os.environ[name] = there[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(ours)
