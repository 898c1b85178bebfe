"""One loop, one fault, one seed: a run in a process of its own."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from bench.document import Frozen
from bench.experiments.survival.observation import Observation
from bench.jobs.pool import Death, Job, Result, die_with_parent, finish


class Trial(Frozen):
    """What is tried."""

    loop: str  # what it is called among the loops of an experiment
    factory: str
    preset: str
    seed: int
    options: dict[str, Any] = Field(default_factory=dict)
    fault: str | None = None  # as Fault.parse takes it; None: a run without one, to compare with
    batches: Annotated[int, Field(gt=0)] | None = None  # to train; None: `epochs`
    epochs: Annotated[int, Field(gt=0)] | None = None  # to train, of as many batches as the loop says
    time_limit: Annotated[float, Field(gt=0)] = 300.0  # seconds, with starting the process

    @property
    def job(self) -> Job:
        """The process that tries it; the name says all that can make a difference."""
        # Options in whatever order they were given are the same options.
        trial = self.model_copy(update={"options": dict(sorted(self.options.items()))})
        name = hashlib.sha256(trial.model_dump_json(exclude={"time_limit"}).encode()).hexdigest()[:20]
        title = f"{self.loop}, seed {self.seed}, {self.fault or 'no fault'}"
        return Job(name, ("-m", "bench.experiments.survival.trial", trial.model_dump_json()), title, self.time_limit)


class Tried(Result):
    """What came of it."""

    trial: Trial
    observation: Observation
    seconds: float  # with starting the process

    @classmethod
    def died(cls, trial: Trial, death: Death) -> Self:
        """Of a process that could not say anything itself any more."""
        return cls(trial=trial, observation=Observation(ended=death.how, why=death.why), seconds=death.seconds)


def _run(trial: Trial) -> Observation:
    # Here, so that the process watches its parent while TensorFlow starts.
    from bench.experiments.survival.fault import Fault
    from bench.experiments.survival.watching import observe
    from bench.loop import LoopSpec, load

    factory, spec = load(trial.factory), LoopSpec(trial.preset, trial.seed, trial.options)
    fault = None if trial.fault is None else Fault.parse(trial.fault)
    return observe(trial.factory, factory, spec, fault, trial.batches, trial.epochs)


def main(arguments: list[str]) -> int:
    """Tries what the first argument says, and leaves what came of it in the file that the second one names."""
    started = time.monotonic()
    die_with_parent()
    trial = Trial.model_validate_json(arguments[0])

    def tried() -> Tried:
        observation = _run(trial)
        return Tried(trial=trial, observation=observation, seconds=time.monotonic() - started)

    return finish(Path(arguments[1]), tried)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # the result is there: what TensorFlow does when Python ends can only spoil it
