"""What was seen of a loop that trained batch by batch, with a fault or without."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.document import Frozen
from bench.experiments.survival.fault import Fault

SETTLING, WATCHED = 60, 10
"""Batches after a fault until the momentum of a spike is spent, and then watched for learning.

A spike is in both of Adam's moments: it pushes the weights on by about 0.9**n of a full step, whatever its
size, which looks like learning and is none. After 60 batches that is 0.2%.
"""

PATIENCE = 20
"""Batches for which a fault of a single batch waits to strike: a network need not be trained in every one."""

Ended = Literal["whole", "crashed", "timed out", "not tested"]


class Observation(Frozen):
    """Of one loop; as many values as looks at it, in each series but those of the metrics: one a batch."""

    ended: Ended
    why: str = ""  # it did not come to the end
    stride: Annotated[int, Field(gt=0)] = 1  # batches from one look to the next
    metrics: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    # How far each weight moved since the look before, L2; NaN where it is not finite.
    steps: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    struck: tuple[int, ...] = ()  # batches (from 0) in which the fault happened
    skipped: tuple[int, ...] = ()  # of them, those that left each weight that should be hit as it was, bit for bit
    moved_in_skips: tuple[str, ...] = ()  # optimizer state of such a network that they changed nevertheless
    first_bad: int | None = None  # the first batch after which a number was not finite
    worst: float = 0.0  # the largest magnitude of a weight after any batch from the fault on
    bad_weights: tuple[str, ...] = ()  # not finite at the end
    bad_state: tuple[str, ...] = ()  # the same of variables that are not trained

    @property
    def batches(self) -> int:
        """That were trained to the end."""
        return self.stride * len(next(iter(self.steps.values()), ()))


def horizon(fault: Fault) -> int:
    """Batches that are trained with a fault, and to compare with, without it."""
    return fault.end + SETTLING + WATCHED
