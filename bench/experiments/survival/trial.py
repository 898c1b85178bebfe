"""One loop, one fault, one seed: a run in a process of its own, and what is seen of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from loop_bench.document import Count, Frozen
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.kinds import Kind
from loop_bench.jobs.trial import LoopTrial, Result

SETTLING, WATCHED = 60, 10
"""Batches after a fault until the momentum of a spike is spent, and then watched for learning.

A spike is in both of Adam's moments: it pushes the weights on by about 0.9**n of a full step, whatever its
size, which looks like learning and is none. After 60 batches that is 0.2%.
"""

PATIENCE = 20
"""Batches for which a fault of a single batch waits to strike: a network need not be trained in every one."""

Ended = Literal["whole", "crashed", "timed out", "not tested"]


class Observation(Frozen):
    """Observations of one loop: one value per look (every `stride` batches); metrics have one per batch."""

    ended: Ended
    why: str = ""  # it did not come to the end
    stride: Annotated[int, Field(gt=0)] = 1  # batches from one look to the next
    metrics: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    # How far each weight moved since the look before, L2: 0 where not a bit changed, NaN where it was not finite.
    steps: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    # Looks (from 0) since the one before which a variable that is not trained had changed, bit for bit.
    moved: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    struck: tuple[int, ...] = ()  # batches (from 0) in which the fault happened
    first_bad_of: dict[Kind, Count] = Field(default_factory=dict)  # the first batch after which one was not finite
    worst: float = 0.0  # the largest magnitude of a weight after any batch from the fault on
    bad_weights: tuple[str, ...] = ()  # not finite at the end
    bad_state: tuple[str, ...] = ()  # the same of variables that are not trained
    optimizer_state: tuple[str, ...] = ()  # variables known to be an optimizer's: see `kinds.optimizer_state`

    @property
    def first_bad(self) -> int | None:
        """The first batch after which a number of any kind was not finite."""
        return min(self.first_bad_of.values(), default=None)

    @property
    def batches(self) -> int:
        """That were trained to the end."""
        return self.stride * len(next(iter(self.steps.values()), ()))


def horizon(fault: Fault) -> int:
    """Batches that are trained with a fault, and to compare with, without it."""
    return fault.end + SETTLING + WATCHED


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
    def environment(cls, folder: Path) -> dict[str, str]:
        cache = f'--tf_xla_persistent_cache_directory="{folder.absolute() / "xla"}"'  # TensorFlow splits it at blanks
        own = os.environ.get("TF_XLA_FLAGS", "")
        # Most of a short run is compilation, and most of what runs compile is the same for all seeds.
        return {"TF_XLA_FLAGS": f"{own} {cache} --tf_xla_persistent_cache_device_types=CPU".strip()}


def observed(result: Result[Observation]) -> Observation:
    """The observations of a run; only how it ended, of a process that died."""
    if result.found is not None:
        return result.found
    assert result.ended != "whole"
    return Observation(ended=result.ended, why=result.why)
