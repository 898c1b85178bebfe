"""The record of a run: immutable, validated when it is made, JSON on disk."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Document, Frozen, NotNegative, Seconds
from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.run.stages import Stage
from loop_bench.experiments.survival.record import Survival
from loop_bench.experiments.syncs.record import HostSyncs, TracedFunction
from loop_bench.experiments.telemetry.record import Telemetry
from loop_bench.home import Residence
from loop_bench.settings import ARMS, TIMED, Settings
from loop_bench.timing.samples import Ended, Round, Start

SCHEMA: Final = 6


class ArmRecord(Frozen):
    """The measurements of one arm."""

    factory: str
    residence: Residence | None = None  # None: the loop ran in the process of the run
    described_first: dict[str, Any] = Field(default_factory=dict)  # the loop's describe() before it was timed
    described_last: dict[str, Any] = Field(default_factory=dict)  # the loop's describe() after it was timed
    starts: tuple[Start, ...] = ()
    history: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # metrics of the timed loop, one value a batch
    touch_seconds: Seconds | None = None  # seconds to add to each weight once: the least that a batch can take
    host_syncs: HostSyncs | None = None
    traced: tuple[TracedFunction, ...] | None = None  # functions traced in the timed rounds; None: not recorded
    survivals: tuple[Survival, ...] = ()
    telemetry: Telemetry | None = None  # None: there was no telemetry run


class Record(Document):
    """One run of the harness, with every raw sample."""

    kind: Literal["run"] = "run"
    schema_version: Literal[6] = SCHEMA
    created: datetime.datetime
    settings: Settings
    environment: dict[str, Any]
    arms: dict[str, ArmRecord]
    rounds: tuple[Round, ...]
    rounds_ended: Ended | None = None  # why no more rounds were timed; None: nothing was timed
    rounds_seconds: float = 0.0  # wall clock from the first round to the last, time between blocks included
    equivalence: Equivalence | None = None  # None: not checked
    survival_preset: str | None = None  # preset of the loops with faults; None: that of the settings, or no faults
    # Processor time that each timed loop in a process of its own used during the others' turns, as a share of that
    # time; 1 is one core.
    idle: dict[str, NotNegative] = Field(default_factory=dict)
    idle_gpu: NotNegative | None = None  # share of the time that the GPU was busy while no loop was running
    problems: tuple[str, ...] | None = None  # signs that the timed loops did not train; None: not checked
    # The environment of each process that trained together with others, the chief's first; empty: a single process.
    machines: tuple[dict[str, Any], ...] = ()
    stages: dict[Stage, NotNegative] = Field(default_factory=dict)  # seconds of each stage

    @model_validator(mode="after")
    def _has_both_arms(self) -> Self:
        if sorted(self.arms) != sorted(ARMS):
            raise ValueError(f"a record is of {' and '.join(ARMS)}, not of {', '.join(self.arms)}")
        for timed in self.rounds:
            if sorted(timed.seconds) != sorted(TIMED):
                raise ValueError(f"a round is of {', '.join(TIMED)}, not of {', '.join(timed.seconds)}")
        return self

    def write(self, folder: Path) -> Path:
        """Writes the record to a new file in a folder, atomically.

        Raises:
            UsageError: the folder cannot be written.
        """
        stem = f"{self.created:%Y%m%dT%H%M%SZ}-{self.settings.preset}-{secrets.token_hex(3)}"
        return self.write_as(folder / f"{stem}.json")
