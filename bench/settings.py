"""The settings of a run: what is measured, and for how long."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from loop_bench.document import Frozen
from loop_bench.home import Home

ARMS = ("before", "after")

NULL = "null"
"""A second instance of `before`, timed with the others: the difference between the two is the run's own noise."""

TIMED = (ARMS[0], NULL, ARMS[1])


REPLICAS = "replicas"
"""The option of a LoopSpec that says how many devices share each batch."""


def arm_of(name: str) -> str:
    """The arm whose factory a timed loop comes from."""
    return ARMS[0] if name == NULL else name


class Settings(Frozen):
    """The settings that a run was given."""

    before: str
    after: str
    preset: str
    seed: int
    batches: Annotated[int, Field(gt=0)]  # of each loop in a round
    rounds: Annotated[int, Field(gt=0)] | None = None  # exact number; None: until precise or out of time
    precision: Annotated[float, Field(gt=0)] = 0.03  # width of the ratio's 95% interval, as a share
    max_time: Annotated[float, Field(gt=0)] = 120.0  # seconds for the rounds
    options: dict[str, Any] = Field(default_factory=dict)
    # By arm, where it lives; empty: both live in the process of the run.
    homes: dict[str, Home] = Field(default_factory=dict)
    processes: Annotated[int, Field(gt=0)] = 1  # of each arm, one after the other, where arms live elsewhere
    machines: Annotated[int, Field(gt=0)] = 1  # processes that train together, each on a machine: TF_CONFIG

    @property
    def replicas(self) -> int:
        """Number of devices requested to share each batch; other types of this option are the loop's own."""
        asked = self.options.get(REPLICAS)
        return asked if isinstance(asked, int) else 1
