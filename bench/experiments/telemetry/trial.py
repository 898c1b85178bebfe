"""One loop in a process of its own, `python -m bench.experiments.telemetry.trial WATCH RESULT`."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bench.document import Frozen
from bench.experiments.telemetry.record import Telemetry
from bench.jobs.pool import Death, Job, Result, die_with_parent, finish

PRELOADED = ("tensorflow", "keras", "bench.experiments.telemetry.watching")
"""To import these takes seconds; none of them asks for a device yet."""


class Watch(Frozen):
    """What is to be watched."""

    name: str  # of the arm
    factory: str  # as module:factory
    preset: str
    seed: int
    options: dict[str, Any] = Field(default_factory=dict)
    batches: Annotated[int, Field(gt=0)]  # of a block
    seconds: Annotated[float, Field(gt=0)]  # of the stretch, roughly
    time_limit: Annotated[float, Field(gt=0)] = 1200.0  # seconds besides; what takes longer hangs

    @property
    def job(self) -> Job:
        """The process that does it; its file's name says all that can make a difference."""
        name = hashlib.sha256(self.model_dump_json(exclude={"time_limit"}).encode()).hexdigest()[:20]
        limit = self.time_limit + 3 * self.seconds
        return Job(name, ("-m", "bench.experiments.telemetry.trial", self.model_dump_json()), self.name, limit)


class Watched(Result):
    """What its process leaves."""

    telemetry: Telemetry


def died(death: Death) -> Watched:
    """Of a process that could not say anything itself any more."""
    return Watched(telemetry=Telemetry(died=f"{death.how}: {death.why}"))


def _look(wanted: Watch) -> Watched:
    # Here, so that the process watches its parent while TensorFlow starts.
    from bench.experiments.telemetry.watching import watch
    from bench.loop import LoopSpec

    spec = LoopSpec(wanted.preset, wanted.seed, wanted.options)
    return Watched(telemetry=watch(wanted.factory, spec, wanted.batches, wanted.seconds))


def main(arguments: list[str]) -> int:
    """Watches what the first argument says, and leaves what it sees in the file that the second one names."""
    die_with_parent()
    wanted = Watch.model_validate_json(arguments[0])
    return finish(Path(arguments[1]), lambda: _look(wanted))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # the result is there: what TensorFlow does when Python ends can only spoil it
