"""The observations of one run, as plain values, because the process of a loop may lack pydantic."""

from __future__ import annotations

import dataclasses
from typing import Literal

from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.kinds import Kind

SETTLING, WATCHED = 60, 10
"""Batches after a fault in which the momentum of a spike decays, and those after them in which learning is judged.

A spike is in both of Adam's moments: after n batches it still moves the weights by about 0.9**n of a full step,
whatever its size, which looks like learning but is not. After 60 batches that is 0.2%.
"""

PATIENCE = 20
"""Batches for which a fault of a single batch waits to strike, because a network need not be trained in each batch."""

Ended = Literal["whole", "crashed", "timed out", "not tested"]
"""How a run ended."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """Observations of one loop: one value per look (every `stride` batches); metrics have one per batch.

    Raises:
        ValueError: a number is out of its range.
    """

    ended: Ended
    why: str = ""  # why the run did not complete
    stride: int = 1  # batches from one look to the next
    metrics: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    # Distance (L2) that each weight moved since the look before: 0 if no bit changed, NaN if it was not finite.
    steps: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    # Looks (from 0) at which an untrained variable differed, in any bit, from the look before.
    moved: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    struck: tuple[int, ...] = ()  # batches (from 0) in which the fault happened
    # By kind, the first batch after which a number was not finite.
    first_bad_of: dict[Kind, int] = dataclasses.field(default_factory=dict)
    worst: float = 0.0  # the largest magnitude of a weight after any batch from the fault on
    bad_weights: tuple[str, ...] = ()  # weights that are not finite at the end
    bad_state: tuple[str, ...] = ()  # untrained variables that are not finite at the end
    optimizer_state: tuple[str, ...] = ()  # untrained variables of an optimizer, see `kinds.optimizer_state`
    first_apart: int | None = None  # the first batch after which replicas of a variable held different numbers
    apart: tuple[str, ...] = ()  # variables whose replicas hold different numbers at the end

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise ValueError(f"stride {self.stride}: must be at least 1")
        if least := [batch for batch in self.first_bad_of.values() if batch < 0]:
            raise ValueError(f"first_bad_of {least[0]}: must be a batch, from 0")

    @property
    def first_bad(self) -> int | None:
        """The first batch after which a number of any kind was not finite."""
        return min(self.first_bad_of.values(), default=None)

    @property
    def batches(self) -> int:
        """The number of batches that were trained completely."""
        return self.stride * len(next(iter(self.steps.values()), ()))


def horizon(fault: Fault) -> int:
    """The length of a run with a fault, and of the part of the clean run that it is compared with, in batches."""
    return fault.end + SETTLING + WATCHED
