"""The record of a ladder: immutable, with every raw sample, JSON on disk."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Document, Frozen, NotNegative, Seconds
from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.ladder.plan import Ladder
from loop_bench.experiments.syncs.record import HostSyncs
from loop_bench.jobs.machines import RanOn
from loop_bench.machine.memory import PeakMemory
from loop_bench.settings import NULL
from loop_bench.timing.samples import Ended, Start

SCHEMA: Final = 2


class Finding(Frozen):
    """Measurements of one rung in its own process; None: not measured, or the process died first."""

    start: Start | None = None
    host_syncs: HostSyncs | None = None
    memory: PeakMemory | None = None
    equivalence: Equivalence | None = None  # with the baseline; None also for the baseline itself
    died: str = ""  # the cause of the process's death, in words; empty: it completed


class LadderLimits(Frozen):
    """Limits of the rounds of a ladder."""

    rounds: Annotated[int, Field(gt=0)] | None = None  # exact number of rounds; None: until `max_time`
    max_time: Annotated[float, Field(gt=0)] = 300.0  # seconds


class Turn(Frozen):
    """One round of a ladder: a block of batches of each loop, one after the other."""

    order: tuple[str, ...]
    seconds: dict[str, Seconds]  # for all batches of a block, by rung; includes the null arm

    @model_validator(mode="after")
    def _is_of_all(self) -> Self:
        if sorted(self.order) != sorted(self.seconds):
            raise ValueError(f"a round of {', '.join(self.order)} has no times of {', '.join(self.seconds)}")
        return self


class LadderRecord(Document):
    """The measurements of all rungs of a ladder."""

    title: ClassVar[str] = "ladder record"

    kind: Literal["ladder"] = "ladder"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    ladder: Ladder
    findings: dict[str, Finding]  # by rung
    limits: LadderLimits
    rounds: tuple[Turn, ...]
    rounds_ended: Ended | None = None  # why no more rounds were timed; None: no loop was left to time
    rounds_seconds: NotNegative = 0.0  # wall clock from the first round to the last
    stopped: dict[str, str] = Field(default_factory=dict)  # by rung or null arm, why its timing stopped or never began
    problems: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # by rung, signs that it did not train
    ran_on: tuple[RanOn, ...] = ()  # machines, and the trials that ran there; empty: all on the command's machine

    @model_validator(mode="after")
    def _is_of_its_rungs(self) -> Self:
        names = {rung.name for rung in self.ladder.rungs}
        if {*self.findings} != names:
            raise ValueError(f"findings must be of {', '.join(sorted(names))}, not {', '.join(sorted(self.findings))}")
        if unknown := {name for turn in self.rounds for name in turn.order} - names - {NULL}:
            raise ValueError(f"rounds have times of unknown rungs: {', '.join(sorted(unknown))}")
        return self
