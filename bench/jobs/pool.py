"""Jobs in processes of their own, several at once, each with a time limit; gone on with after any interruption."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, Self

from bench.document import Frozen, write_whole
from bench.errors import InvalidRecordError, UsageError
from bench.jobs.forkserver import Forked, ForkServer

LOCK = ".lock"
_WAITED = 10.0
"""Seconds for the processes of a killed run to notice that it is gone, before its folder counts as in use."""

REFUSED = 2
"""The exit code of a job that was asked for something wrong: a defect of the question, and no result.

It says what in its last line, which begins with `error: `: a program may end with any code of its own.
"""
_SAYS = "error: "
_LAST = 10_000
"""Bytes at the end of what a job has printed, in which its last line is looked for."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A Python process that leaves its result as a file, whole or not at all."""

    name: str  # of the file, without .json
    arguments: tuple[str, ...]  # of the interpreter; the file is added as the last one
    title: str  # for a person
    time_limit: float = 300.0  # seconds


@dataclasses.dataclass(frozen=True)
class Death:
    """A job that has left no result."""

    how: Literal["crashed", "timed out"]
    why: str
    seconds: float


def result(folder: Path, job: Job) -> Path:
    """Where a job leaves its result."""
    return folder / f"{job.name}.json"


def run(
    jobs: Sequence[Job],
    folder: Path,
    workers: int,
    died: Callable[[Job, Death], str],
    tell: Callable[[Job], None] = lambda job: None,
    environment: Mapping[str, str] | None = None,
    preload: Sequence[str] = (),
    again: Container[str] = (),
) -> None:
    """Has every job leave a result in `folder`, those that have done so already left alone.

    A job's process writes its result itself, as the last thing that it does: so a result that is there is whole, and
    its job is never begun again; a job without one is begun again. When this process dies, even of `kill -9`, those
    of its jobs do too, and hold the folder's lock until they have: no two runs ever work in it at once.

    Args:
        jobs: with names that are theirs alone.
        folder: for the results; made if it is missing.
        workers: processes at a time.
        died: makes the text of the result of a job that has left none.
        tell: is told of each job that has come to its end now.
        environment: variables of the processes, beside those of this one.
        preload: modules that are imported once for all of them; each begins as a fork of a process that has.
        again: names of jobs that are begun again even if they have left a result.

    Raises:
        UsageError: the folder cannot be written or is in use, or a job says that it was asked for something wrong.
    """
    with _locked(folder) as lock:
        for job in jobs:
            if job.name in again:
                result(folder, job).unlink(missing_ok=True)
        left = [job for job in jobs if not result(folder, job).exists()]
        if not left:
            return
        with (
            ForkServer(preload, {**os.environ, **(environment or {})}) as server,
            concurrent.futures.ThreadPoolExecutor(workers) as pool,
        ):
            running = _Running(folder, died, lock, server)
            try:
                for done in concurrent.futures.as_completed({pool.submit(running.work, job) for job in left}):
                    tell(done.result())
            except BaseException:  # Ctrl-C as well: nothing that was begun may go on unseen
                pool.shutdown(wait=False, cancel_futures=True)
                running.kill()
                raise


def of_loops() -> dict[str, str]:
    """What processes in which loops run find in their environment, beside what is in this one's."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # what can be imported here can be there
        # Several at a time, beside a process that may hold memory itself: none takes more than it needs.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }


class Result(Frozen):
    """What a job's process leaves."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """What a file holds.

        Raises:
            InvalidRecordError: no whole result.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InvalidRecordError(f"result {path}: cannot be read ({type(error).__name__}); remove it") from None


def finish(path: Path, work: Callable[[], Result]) -> int:
    """For a job's process: leaves what `work` gives in a file; its exit code.

    A UsageError (no such loop, a full disk) says nothing about what was to be found out: it becomes the last line that
    the process prints, and no result.
    """
    try:
        write_whole(path, work().model_dump_json() + "\n")
    except UsageError as error:
        print("error:", *str(error).splitlines(), flush=True)
        return REFUSED
    return 0


def die_with_parent() -> None:
    """For a job's process: ends it when the one that started it is gone.

    That one holds the other end of standard input, and the system closes it however it dies.
    """

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock would be held when Python ends
            pass
        if os.getpgrp() == os.getpid():  # begun by `run`, in a group of its own: with all that it has started itself
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Running:
    """The processes at work."""

    def __init__(self, folder: Path, died: Callable[[Job, Death], str], lock: int, server: ForkServer) -> None:
        self._folder = folder
        self._died = died
        self._lock = lock
        self._server = server
        self._processes: set[Forked] = set()
        self._stopped = False
        self._guard = threading.Lock()

    def work(self, job: Job) -> Job:
        """Runs a job until there is a result of it."""
        path, started = result(self._folder, job), time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = self._start(job, path, output.fileno())
            code = process.wait(job.time_limit)
            with self._guard:
                self._processes.discard(process)
            if code is None:
                process.kill()
                process.wait()
            process.close()
            seconds, last = time.monotonic() - started, _last_line(output)
        if process.lost and not path.exists():  # as when memory runs out; which job was at fault is not known
            raise RuntimeError(f"the process that forks has died, and {job.title} with it")
        if code == REFUSED and last.startswith(_SAYS) and not path.exists():
            raise UsageError(last.removeprefix(_SAYS))
        if code is None:
            death = Death("timed out", f"took longer than {job.time_limit:g} s and was ended", seconds)
        else:
            death = Death("crashed", _last_words(code, last), seconds)
        if not path.exists() and not self._stopped:
            write_whole(path, self._died(job, death))
        return job

    def kill(self) -> None:
        """Ends all processes, and begins no more."""
        with self._guard:
            self._stopped = True
            for process in self._processes:
                process.kill()

    def _start(self, job: Job, path: Path, output: int) -> Forked:
        with self._guard:
            if self._stopped:
                raise concurrent.futures.CancelledError
            process = self._server.start([*job.arguments, str(path)], output, [self._lock])
            self._processes.add(process)
        return process


def _last_line(output: IO[bytes]) -> str:
    """Of what a process has printed."""
    output.seek(max(0, output.seek(0, os.SEEK_END) - _LAST))
    lines = [line for line in output.read(_LAST).decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _last_words(code: int, last: str) -> str:
    """What a process that has left no result died of, as far as its exit code and its last line say."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:  # most of the real-time signals have none
            name = f"signal {-code}"
        return f"killed by {name}{', as the system does when memory runs out' if -code == signal.SIGKILL else ''}"
    if code == 0 or not last:  # an end that looks like success: what was printed says nothing about it
        return f"ended with code {code} and without a result"
    return last.removeprefix(_SAYS)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """The folder's lock, as an open file that processes started meanwhile hold too."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"folder {folder}: cannot be written ({error.strerror})") from None
    try:
        waited_until = time.monotonic() + _WAITED
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > waited_until:
                    raise UsageError(f"folder {folder}: is in use by another run; wait for it, or end it") from None
                time.sleep(0.05)
        yield lock
    finally:
        os.close(lock)
