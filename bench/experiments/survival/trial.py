"""The survival trial: a run of one loop from one seed with one fault, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from loop_bench.experiments.survival.observation import Observation
from loop_bench.jobs.trial import LoopTrial, Result


class SurvivalTrial(LoopTrial[Observation]):
    """A run of one loop from one seed, with a fault or without."""

    work: ClassVar[str] = "loop_bench.experiments.survival.watching:watch_trial"
    finding: ClassVar[type[Observation]] = Observation

    fault: str | None = None  # as Fault.parse takes it; None: a clean run
    # Faults whose injections are in the graphs; at most `fault` happens, so that all runs have the same graphs.
    ready: tuple[str, ...] = ()
    batches: Annotated[int, Field(gt=0)] | None = None  # batches to train; None: `epochs`
    epochs: Annotated[int, Field(gt=0)] | None = None  # epochs to train, as long as the loop defines them

    @property
    def title(self) -> str:
        return f"{super().title}, {self.fault or 'no fault'}"

    @classmethod
    def environment(cls, folder: Path, own: Mapping[str, str] = os.environ) -> dict[str, str]:
        cache = f'--tf_xla_persistent_cache_directory="{folder.absolute() / "xla"}"'  # TensorFlow splits it at blanks
        flags = own.get("TF_XLA_FLAGS", "")
        # Caches compiled programs: most of a short run is compilation, and most programs are the same for all seeds.
        return {"TF_XLA_FLAGS": f"{flags} {cache} --tf_xla_persistent_cache_device_types=CPU".strip()}


def observed(result: Result[Observation]) -> Observation:
    """The observations of a trial; if its process died, only how it ended."""
    if result.found is not None:
        return result.found
    assert result.ended != "whole"
    return Observation(ended=result.ended, why=result.why)
