"""A pool of local processes: several jobs at once, each with a time limit."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

import psutil

from loop_bench.errors import UsageError, add_note
from loop_bench.jobs.attempt import REFUSED
from loop_bench.jobs.folder import LockedFolder
from loop_bench.jobs.forkserver import Forked, ForkServer
from loop_bench.jobs.parent import SAYS
from loop_bench.machine import environment
from loop_bench.writing import write_whole

_LAST = 10_000
"""Bytes read from the end of a job's output: its last line, or the traceback of a refusal."""


PROCESS_BYTES = 2 * 2**30
"""Memory that each process is assumed to need: TensorFlow with a small model takes about half of it."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A Python process that writes its result to a file, whole or not at all."""

    name: str  # of the file, without .json
    arguments: tuple[str, ...]  # of the interpreter; the file's path is appended
    title: str  # for messages
    time_limit: float = 300.0  # seconds


@dataclasses.dataclass(frozen=True)
class Death:
    """How a job ended that has written no result."""

    how: Literal["crashed", "timed out"]
    why: str
    seconds: float


def run(
    server: ForkServer,
    jobs: Sequence[Job],
    folder: LockedFolder,
    workers: int,
    died: Callable[[Job, Death], str],
    done: Callable[[Job], None] = lambda job: None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs jobs until each has a result in the folder.

    When this process dies, even of `kill -9`, its jobs die too. Until then they hold the folder's lock, so that no two
    runs work in the folder at once.

    Args:
        server: forks the processes.
        jobs: with unique names.
        folder: for the results.
        workers: processes at a time.
        died: returns the text of the result of a job that has written none.
        done: called with each job that has ended.
        environment: variables of these processes, added to those of the server.

    Raises:
        UsageError: a job says that it is invalid.
        RuntimeError: the fork server has died.
    """
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        running = _Running(folder, died, server, environment or {})
        try:
            for future in concurrent.futures.as_completed({pool.submit(running.work, job) for job in jobs}):
                done(future.result())
        except BaseException:  # Ctrl-C as well: no process may keep running unseen
            pool.shutdown(wait=False, cancel_futures=True)
            running.kill()
            raise


LOOP_VARIABLES = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # Several processes may share a GPU, also with this one: none takes more memory than it needs.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}
"""Environment variables of all processes in which loops run."""


def loop_environment() -> dict[str, str]:
    """Variables, besides those of this process, of one that can import everything that can be imported here."""
    return {**LOOP_VARIABLES, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def workers() -> int:
    """Number of processes that can run at once undisturbed: each has a core and its share of memory.

    It is 1 where they would share a GPU's memory.
    """
    if environment.state()["gpus"]:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), int(psutil.virtual_memory().available) // PROCESS_BYTES))


class _Running:
    """The processes that run."""

    def __init__(
        self,
        folder: LockedFolder,
        died: Callable[[Job, Death], str],
        server: ForkServer,
        environment: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._died = died
        self._server = server
        self._environment = environment
        self._processes: set[Forked] = set()
        self._stopped = False
        self._guard = threading.Lock()

    def work(self, job: Job) -> Job:
        """Runs a job until it has a result."""
        path, started = self._folder.result(job.name), time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = self._start(job, path, output.fileno())
            code = process.wait(job.time_limit)
            with self._guard:
                self._processes.discard(process)
            if code is None:
                process.kill()
                process.wait()
            process.close()
            seconds, printed = time.monotonic() - started, _printed(output)
            last = printed[-1] if printed else ""
        if process.lost and not path.exists():  # as when memory runs out; which job was at fault is unknown
            raise RuntimeError(f"the process that forks has died, and {job.title} with it")
        if code == REFUSED and last.startswith(SAYS) and not path.exists():
            refused = UsageError(last.removeprefix(SAYS))
            add_note(refused, "\n".join(["printed by the process of this trial:", *printed[:-1]]))
            raise refused
        if code is None:
            death = Death("timed out", f"took longer than {job.time_limit:g} s and was ended", seconds)
        else:
            death = Death("crashed", last_words(code, last), seconds)
        if not path.exists() and not self._stopped:
            write_whole(path, self._died(job, death))
        return job

    def kill(self) -> None:
        """Ends all processes, and starts no more."""
        with self._guard:
            self._stopped = True
            for process in self._processes:
                process.kill()

    def _start(self, job: Job, path: Path, output: int) -> Forked:
        with self._guard:
            if self._stopped:
                raise concurrent.futures.CancelledError
            process = self._server.start([*job.arguments, str(path)], output, [self._folder.lock], self._environment)
            self._processes.add(process)
        return process


def _printed(output: IO[bytes]) -> list[str]:
    """The last lines of a process's output, without empty ones."""
    output.seek(max(0, output.seek(0, os.SEEK_END) - _LAST))
    return [line for line in output.read(_LAST).decode(errors="replace").splitlines() if line.strip()]


def last_words(code: int, last: str) -> str:
    """Describes how a process without a result died, from its exit code and its last line."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:  # most of the real-time signals have none
            name = f"signal {-code}"
        return f"killed by {name}{', as the system does when memory runs out' if -code == signal.SIGKILL else ''}"
    if code == 0 or not last:  # it looks like success, so the output does not explain it
        return f"ended with code {code} and without a result"
    return last.removeprefix(SAYS)
