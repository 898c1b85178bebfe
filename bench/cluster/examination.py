"""What a worker's machine is, found out by a trial of its own: the worker itself imports no TensorFlow."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, ClassVar

from loop_bench.cluster.terms import Terms
from loop_bench.document import Frozen
from loop_bench.jobs.machines import Machine
from loop_bench.jobs.trial import Trial
from loop_bench.machine.environment import environment


class Examined(Frozen):
    """A machine, and what the loops of some trials would be there."""

    machine: Machine
    terms: Terms
    visible_gpus: str | None = None  # CUDA_VISIBLE_DEVICES


class Examination(Trial[Examined]):
    """Looks at the machine that it runs on; no loop is built."""

    work: ClassVar[str] = "loop_bench.cluster.examination:examine"
    finding: ClassVar[type[Examined]] = Examined

    factories: tuple[str, ...]
    scripts: tuple[str, ...]

    @property
    def title(self) -> str:
        return "the examination of the machine"

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return ()

    @classmethod
    def preload(cls) -> tuple[str, ...]:
        return (cls.work.partition(":")[0],)  # the rest is imported for the trials that follow


def examine(trial: Examination) -> Examined:
    """Does the work of the trial."""
    here = environment()
    return Examined(
        machine=Machine(host=socket.gethostname(), environment=here),
        terms=Terms.here(trial.factories, trial.scripts, here),
        visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
    )
