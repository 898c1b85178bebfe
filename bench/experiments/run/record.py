"""The result of a run: immutable, checked when it is made, JSON on disk."""

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
    """One of the loops and what was found out about it."""

    factory: str
    residence: Residence | None = None  # None: it lived in the process of the run
    described_first: dict[str, Any] = Field(default_factory=dict)  # what the loop said of itself before it was timed
    described_last: dict[str, Any] = Field(default_factory=dict)  # and afterwards
    starts: tuple[Start, ...] = ()
    history: dict[str, tuple[float, ...]] = Field(
        default_factory=dict
    )  # of the timed loop, by metric, one value a batch
    touch_seconds: Seconds | None = None  # to add to each of its weights once and do nothing else
    host_syncs: HostSyncs | None = None
    traced: tuple[TracedFunction, ...] | None = None  # functions, in the timed rounds; None where it was not recorded
    survivals: tuple[Survival, ...] = ()
    telemetry: Telemetry | None = None  # None when it was not watched


class Record(Document):
    """One run of the harness, with every raw sample."""

    kind: Literal["run"] = "run"
    schema_version: Literal[6] = SCHEMA
    created: datetime.datetime
    settings: Settings
    environment: dict[str, Any]
    arms: dict[str, ArmRecord]
    rounds: tuple[Round, ...]
    rounds_ended: Ended | None = None  # None when nothing was timed
    rounds_seconds: float = 0.0  # wall clock from the first round to the last, with all that is done between them
    equivalence: Equivalence | None = None  # None when it was not looked at
    survival_preset: str | None = None  # of the loops that had faults; None: that of the settings, or there were none
    # Of timed loops that live in processes of their own: processor time that each used while it was another one's turn,
    # as a share of that time; 1 is a core.
    idle: dict[str, NotNegative] = Field(default_factory=dict)
    idle_gpu: NotNegative | None = None  # share of the time in which the GPU was busy while nothing was asked of any
    problems: tuple[str, ...] | None = None  # that the timed loops had with their work; None: not looked at
    # Of each process that has trained together with the others, the chief's first; empty where there was one.
    machines: tuple[dict[str, Any], ...] = ()
    stages: dict[Stage, NotNegative] = Field(default_factory=dict)  # seconds that each has taken

    @model_validator(mode="after")
    def _has_both_arms(self) -> Self:
        if sorted(self.arms) != sorted(ARMS):
            raise ValueError(f"a record is of {' and '.join(ARMS)}, not of {', '.join(self.arms)}")
        for done in self.rounds:
            if sorted(done.seconds) != sorted(TIMED):
                raise ValueError(f"a round is of {', '.join(TIMED)}, not of {', '.join(done.seconds)}")
        return self

    def write(self, folder: Path) -> Path:
        """Adds the record to `folder` as one file of its own, whole or not at all.

        Raises:
            UsageError: the folder cannot be written.
        """
        stem = f"{self.created:%Y%m%dT%H%M%SZ}-{self.settings.preset}-{secrets.token_hex(3)}"
        return self.write_as(folder / f"{stem}.json")
