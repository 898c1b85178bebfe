"""Trials that compute a sum, and stand-ins for places where trials run, for tests of the engine and of experiments."""

import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

import psutil
from pydantic import Field

from loop_bench.document import Frozen
from loop_bench.errors import UsageError
from loop_bench.jobs.gather import OtherMachines
from loop_bench.jobs.trial import Result, Trial, result_class


class Sum(Frozen):
    value: float


class Adding(Trial[Sum]):
    """A trial that adds its terms, in a module that does not import TensorFlow."""

    work: ClassVar[str] = "trials:add"
    finding: ClassVar[type[Sum]] = Sum

    terms: tuple[float, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)
    factory: str = "trials:add"

    @property
    def title(self):
        return f"the sum of {len(self.terms)}"

    @property
    def loops(self):
        return ((self.factory, self.options),)

    @classmethod
    def preload(cls):
        return ("trials",)


class Cached(Adding):
    """`Adding` with a variable in the environment of its processes."""

    @classmethod
    def environment(cls, folder, own=os.environ):
        return {"OURS": str(folder)}


class Seen(Frozen):
    parent: int
    ours: str
    may_grow: str


class Asking(Cached):
    """A trial that reports the environment of its process."""

    work: ClassVar[str] = "trials:ask"
    finding: ClassVar[type[Seen]] = Seen


def ask(trial):
    return Seen(parent=os.getppid(), ours=os.environ["OURS"], may_grow=os.environ["TF_FORCE_GPU_ALLOW_GROWTH"])


class Threads(Adding):
    """A trial that reports OMP_NUM_THREADS, or 0 if it is not set."""

    work: ClassVar[str] = "trials:threads"


def threads(trial):
    return Sum(value=float(os.environ.get("OMP_NUM_THREADS", 0)))


class Wrong(Adding):
    """A trial that raises a usage error."""

    work: ClassVar[str] = "trials:refuse"


def refuse(trial):
    raise UsageError("no such term")


class Counted(Adding):
    """A trial that records each start of its work in a file; then waits for another file, or ends a process.

    Options: `begun`, the file of records; `gate`, the file to wait for; `kill`, the process to end: `trial` or
    `worker`.
    """

    work: ClassVar[str] = "trials:count"


class TimedCounted(Counted):
    """`Counted` as a trial whose times are compared."""

    is_timed: ClassVar[bool] = True


def count(trial):
    with Path(trial.options["begun"]).open("a") as notes:
        notes.write(f"{trial.key}\n")
    if trial.options.get("kill") == "trial":
        os.kill(os.getpid(), signal.SIGKILL)
    if trial.options.get("kill") == "worker":
        forking = psutil.Process().parent()
        forking.parent().kill()
        time.sleep(600)
    while (gate := trial.options.get("gate")) and not Path(gate).exists():
        time.sleep(0.01)
    return add(trial)


def add(trial):
    return Sum(value=sum(trial.terms))


def found(trial, value, **changes):
    """Result of a trial that has finished."""
    fields = {"ended": "whole", "seconds": 1.0, "time_limit": trial.time_limit, "found": value}
    return result_class(trial)(**{**fields, **changes})


def died(trial, ended="crashed", why="of something", **changes):
    """Result of a trial whose process has died."""
    return found(trial, None, ended=ended, why=why, **changes)


class Door:
    """Stand-in for a place where trials run, which only makes up their results.

    Args:
        answer: returns the finding of a trial, or its whole result.

    Attributes:
        asked: the trials that were run, in order; a test may clear the list.
        interrupted_after: number of trials after which a KeyboardInterrupt is raised; None: never.
        workers: number of workers that it was last called with.
    """

    def __init__(self, answer):
        self.answer = answer
        self.asked, self.interrupted_after, self.workers = [], None, None

    @property
    def titles(self):
        return [trial.title for trial in self.asked]

    def __call__(self, trials, folder, workers, done):
        self.workers = workers
        for trial in trials:
            if len(self.asked) == self.interrupted_after:
                raise KeyboardInterrupt
            self.asked.append(trial)
            answer = self.answer(trial)
            result = answer if isinstance(answer, Result) else found(trial, answer)
            folder.result(trial.key).write_text(result.model_dump_json())
            done(trial)


class FarDoor(Door, OtherMachines):
    """Stand-in for a place on other machines.

    Args:
        answer: returns the finding of a trial, or its whole result.
        machine: the machine that all results name.
    """

    def __init__(self, answer, machine):
        super().__init__(answer)
        self.machine, self.known = machine, []

    def conditions(self, environment):
        return {"software": environment["versions"]}

    def begin(self, environment, known, trials):
        self.known.append(known)

    def __call__(self, trials, folder, workers, done):
        super().__call__(trials, folder, workers, done)
        for trial in trials:
            path = folder.result(trial.key)
            there = result_class(trial).model_validate_json(path.read_text())
            path.write_text(there.model_copy(update={"machine": self.machine}).model_dump_json())
