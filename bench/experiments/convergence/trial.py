"""One loop from one seed: a run in a process of its own."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from bench.document import Frozen
from bench.experiments.convergence.course import Course
from bench.jobs.pool import Death, Job, Result, die_with_parent, finish

PRELOADED = ("tensorflow", "keras", "bench.experiments.convergence.watching")
"""What takes long to import, and asks for no device yet."""


class Trial(Frozen):
    """What is tried."""

    loop: str  # what it is called among the loops of an experiment
    factory: str
    preset: str
    seed: int
    options: dict[str, Any] = Field(default_factory=dict)
    epochs: Annotated[int, Field(gt=0)]
    every: Annotated[int, Field(gt=0)] | None = None  # batches of an epoch; None: the loop's own
    time_limit: Annotated[float, Field(gt=0)]  # seconds, with starting the process

    @property
    def job(self) -> Job:
        """The process that tries it; the name says all that can make a difference."""
        # Options in whatever order they were given are the same options.
        trial = self.model_copy(update={"options": dict(sorted(self.options.items()))})
        name = hashlib.sha256(trial.model_dump_json(exclude={"time_limit"}).encode()).hexdigest()[:20]
        arguments = ("-m", "bench.experiments.convergence.trial", trial.model_dump_json())
        return Job(name, arguments, f"{self.loop}, seed {self.seed}", self.time_limit)


class Tried(Result):
    """What came of it."""

    trial: Trial
    course: Course
    seconds: float  # with starting the process

    @classmethod
    def died(cls, trial: Trial, death: Death) -> Self:
        """Of a process that could not say anything itself any more."""
        course = Course(seed=trial.seed, ended=death.how, why=death.why)
        return cls(trial=trial, course=course, seconds=death.seconds)


def _run(trial: Trial) -> Course:
    # Here, so that the process watches its parent while TensorFlow starts.
    from bench.experiments.convergence.watching import follow
    from bench.loop import LoopSpec, load

    spec = LoopSpec(trial.preset, trial.seed, trial.options)
    return follow(trial.factory, load(trial.factory), spec, trial.epochs, trial.every)


def main(arguments: list[str]) -> int:
    """Tries what the first argument says, and leaves what came of it in the file that the second one names."""
    started = time.monotonic()
    die_with_parent()
    trial = Trial.model_validate_json(arguments[0])

    def tried() -> Tried:
        course = _run(trial)
        return Tried(trial=trial, course=course, seconds=time.monotonic() - started)

    return finish(Path(arguments[1]), tried)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # the result is there: what TensorFlow does when Python ends can only spoil it
