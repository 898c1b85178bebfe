"""What is seen of one run, as plain values: the process in which a loop lives need not have pydantic."""

from __future__ import annotations

import dataclasses
from typing import Literal

from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.kinds import Kind

SETTLING, WATCHED = 60, 10
"""Batches after a fault until the momentum of a spike is spent, and then watched for learning.

A spike is in both of Adam's moments: it pushes the weights on by about 0.9**n of a full step, whatever its
size, which looks like learning and is none. After 60 batches that is 0.2%.
"""

PATIENCE = 20
"""Batches for which a fault of a single batch waits to strike: a network need not be trained in every one."""

Ended = Literal["whole", "crashed", "timed out", "not tested"]


@dataclasses.dataclass(frozen=True)
class Observation:
    """Observations of one loop: one value per look (every `stride` batches); metrics have one per batch.

    Raises:
        ValueError: a number is out of its range.
    """

    ended: Ended
    why: str = ""  # it did not come to the end
    stride: int = 1  # batches from one look to the next
    metrics: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    # How far each weight moved since the look before, L2: 0 where not a bit changed, NaN where it was not finite.
    steps: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    # Looks (from 0) since the one before which a variable that is not trained had changed, bit for bit.
    moved: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    struck: tuple[int, ...] = ()  # batches (from 0) in which the fault happened
    # The first batch after which one was not finite.
    first_bad_of: dict[Kind, int] = dataclasses.field(default_factory=dict)
    worst: float = 0.0  # the largest magnitude of a weight after any batch from the fault on
    bad_weights: tuple[str, ...] = ()  # not finite at the end
    bad_state: tuple[str, ...] = ()  # the same of variables that are not trained
    optimizer_state: tuple[str, ...] = ()  # variables known to be an optimizer's: see `kinds.optimizer_state`
    first_apart: int | None = None  # the first batch after which replicas of a variable held different numbers
    apart: tuple[str, ...] = ()  # variables whose replicas do at the end

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
        """That were trained to the end."""
        return self.stride * len(next(iter(self.steps.values()), ()))


def horizon(fault: Fault) -> int:
    """Batches that are trained with a fault, and to compare with, without it."""
    return fault.end + SETTLING + WATCHED
