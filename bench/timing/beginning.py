"""A loop from its name to its first batch, in the process in which it lives.

It imports nothing but the core, for loops that live elsewhere: see `loop_bench.arms.process`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loop_bench.loop import LoopSpec, TrainingLoop, build, load
from loop_bench.timing import clock


class Beginning:
    """A loop that is warmed up for and started, in this order.

    Args:
        factory: as module:factory.
        preset: of its spec.
        seed: of its spec.
        options: of its spec.
        arm: that it is of, for messages.
    """

    def __init__(self, factory: str, preset: str, seed: int, options: Mapping[str, Any], arm: str = "") -> None:
        self._what = factory, load(factory), LoopSpec(preset, seed, options), arm
        self._loop: TrainingLoop | None = None

    def build(self) -> TrainingLoop:
        """A loop, which is not kept: what a process does only once should be done for none that is timed."""
        return build(*self._what)

    def warm_up(self) -> None:
        """Has a process that no other loop lives in do what it does only once."""
        clock.warm_up(self.build)

    def start(self) -> tuple[float, float]:
        """Builds the loop and trains its first batch; seconds of either."""
        self._loop, built, first = clock.first_batch(*self._what)
        return built, first

    @property
    def started(self) -> TrainingLoop:
        """The loop that has been started."""
        assert self._loop is not None, "start() comes first"
        return self._loop
