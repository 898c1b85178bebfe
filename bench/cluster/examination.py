"""The examination of a worker's machine, a trial of its own, because the worker itself imports no TensorFlow."""

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
    """A machine, and the terms of some trials there."""

    machine: Machine
    terms: Terms
    visible_gpus: str | None = None  # CUDA_VISIBLE_DEVICES


class Examination(Trial[Examined]):
    """A trial that reports on the machine it runs on; no loop is built."""

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
    """Reports on this machine."""
    own = environment()
    return Examined(
        machine=Machine(host=socket.gethostname(), environment=own),
        terms=Terms.here(trial.factories, trial.scripts, own),
        visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
    )
