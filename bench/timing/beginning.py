"""Start of a loop, from its factory's name to its first batch, in the process that runs it.

Imports only the core, because the processes of arms import it too: see `loop_bench.arms.process`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loop_bench.loop import LoopSpec, TrainingLoop, build, load
from loop_bench.timing import clock


class Beginning:
    """Warms up a process for a loop, then starts the loop.

    Args:
        factory: `module:factory`.
        preset: preset of the loop's spec.
        seed: seed of the loop's spec.
        options: options of the loop's spec.
        arm: name of the loop's arm, for messages.
    """

    def __init__(self, factory: str, preset: str, seed: int, options: Mapping[str, Any], arm: str = "") -> None:
        self._what = factory, load(factory), LoopSpec(preset, seed, options), arm
        self._loop: TrainingLoop | None = None

    def build(self) -> TrainingLoop:
        """Builds a loop that is not kept, so that a process's one-time work is not timed with any loop."""
        return build(*self._what)

    def warm_up(self) -> None:
        """Does the one-time work of a process that runs no other loop."""
        clock.warm_up(self.build)

    def start(self) -> tuple[float, float]:
        """Builds the loop and trains its first batch; returns the seconds that each of the two took."""
        self._loop, built, first = clock.first_batch(*self._what)
        return built, first

    @property
    def started(self) -> TrainingLoop:
        """The loop that `start` has built."""
        assert self._loop is not None, "start() comes first"
        return self._loop
