"""Trials whose work is a sum, and doors to places where no trial runs, for tests of the engine and of experiments."""

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
    """Adds its terms, in a module that starts no TensorFlow."""

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
    """The same with a variable in the environment of its processes."""

    @classmethod
    def environment(cls, folder, own=os.environ):
        return {"OURS": str(folder)}


class Seen(Frozen):
    parent: int
    ours: str
    may_grow: str


class Asking(Cached):
    """Finds what its process has been given."""

    work: ClassVar[str] = "trials:ask"
    finding: ClassVar[type[Seen]] = Seen


def ask(trial):
    return Seen(parent=os.getppid(), ours=os.environ["OURS"], may_grow=os.environ["TF_FORCE_GPU_ALLOW_GROWTH"])


class Threads(Adding):
    """Finds OMP_NUM_THREADS, 0 where it is not set."""

    work: ClassVar[str] = "trials:threads"


def threads(trial):
    return Sum(value=float(os.environ.get("OMP_NUM_THREADS", 0)))


class Wrong(Adding):
    """Asks for something wrong."""

    work: ClassVar[str] = "trials:refuse"


def refuse(trial):
    raise UsageError("no such term")


class Counted(Adding):
    """Notes each time that its work begins, in a file; then goes on as soon as a file is there, or ends its process.

    Options: `begun`, the file of notes; `gate`, what is waited for; `kill`, whose process is ended: the trial's own, or
    the worker's.
    """

    work: ClassVar[str] = "trials:count"


class TimedCounted(Counted):
    """The same, and times are compared."""

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
    """The result of a trial that has found something."""
    fields = {"ended": "whole", "seconds": 1.0, "time_limit": trial.time_limit, "found": value}
    return result_class(trial)(**{**fields, **changes})


def died(trial, ended="crashed", why="of something", **changes):
    """The result of a trial whose process has died."""
    return found(trial, None, ended=ended, why=why, **changes)


class Door:
    """A place where trials only seem to run.

    Args:
        answer: gives what a trial finds, or its whole result.

    Attributes:
        asked: the trials that were run, in order; a test may clear it.
        interrupted_after: so many of them; None: never.
        workers: as many as it was asked to use.
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
    """A place on other machines; trials only seem to run there.

    Args:
        answer: gives what a trial finds, or its whole result.
        machine: that all say they ran on.
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
