"""One loop, one fault, one seed: a run in a process of its own, and what is seen of it."""

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

    fault: str | None = None  # as Fault.parse takes it; None: a run without one, to compare with
    # Faults for which graphs are made ready, and of which at most `fault` happens: so all runs have the same graphs.
    ready: tuple[str, ...] = ()
    batches: Annotated[int, Field(gt=0)] | None = None  # to train; None: `epochs`
    epochs: Annotated[int, Field(gt=0)] | None = None  # to train, of as many batches as the loop says

    @property
    def title(self) -> str:
        return f"{super().title}, {self.fault or 'no fault'}"

    @classmethod
    def environment(cls, folder: Path, own: Mapping[str, str] = os.environ) -> dict[str, str]:
        cache = f'--tf_xla_persistent_cache_directory="{folder.absolute() / "xla"}"'  # TensorFlow splits it at blanks
        flags = own.get("TF_XLA_FLAGS", "")
        # Most of a short run is compilation, and most of what runs compile is the same for all seeds.
        return {"TF_XLA_FLAGS": f"{flags} {cache} --tf_xla_persistent_cache_device_types=CPU".strip()}


def observed(result: Result[Observation]) -> Observation:
    """The observations of a run; only how it ended, of a process that died."""
    if result.found is not None:
        return result.found
    assert result.ended != "whole"
    return Observation(ended=result.ended, why=result.why)
