"""One rung in a process of its own, `python -m bench.experiments.ladder.trial PROBE RESULT`."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from bench.document import Frozen
from bench.experiments.ladder.finding import Finding
from bench.experiments.ladder.plan import Ladder, Rung
from bench.jobs.pool import Death, Job, die_with_parent, finish

PRELOADED = ("tensorflow", "keras", "bench.experiments.ladder.examination")
"""To import these takes seconds; none of them asks for a device yet."""


class Probe(Frozen):
    """What is to be looked at."""

    rung: Rung
    baseline: Rung
    preset: str
    seed: int
    time_limit: Annotated[float, Field(gt=0)] = 1200.0  # seconds; what takes longer hangs

    @classmethod
    def of(cls, ladder: Ladder, rung: Rung) -> Self:
        """A rung of a ladder."""
        return cls(rung=rung, baseline=ladder.baseline, preset=ladder.preset, seed=ladder.seed)

    @property
    def job(self) -> Job:
        """The process that looks at it; its file's name says all that can make a difference."""
        name = hashlib.sha256(self.model_dump_json(exclude={"time_limit"}).encode()).hexdigest()[:20]
        return Job(
            name, ("-m", "bench.experiments.ladder.trial", self.model_dump_json()), self.rung.name, self.time_limit
        )


def died(death: Death) -> Finding:
    """Of a process that could not say anything itself any more."""
    return Finding(died=f"{death.how}: {death.why}")


def _look(probe: Probe) -> Finding:
    # Here, so that the process watches its parent while TensorFlow starts.
    from bench.experiments.ladder.examination import examine
    from bench.loop import LoopSpec

    return examine(probe.rung, probe.baseline, LoopSpec(probe.preset, probe.seed))


def main(arguments: list[str]) -> int:
    """Looks at what the first argument says, and leaves what it finds in the file that the second one names."""
    die_with_parent()
    probe = Probe.model_validate_json(arguments[0])
    return finish(Path(arguments[1]), lambda: _look(probe))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # the result is there: what TensorFlow does when Python ends can only spoil it
