"""Real extra work inside a training loop: what the gate is to find."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from loop_bench.timing import clock

REPEATS, STEPS = 30, 500

_MATRIX = np.eye(32)
_PRODUCT = np.empty_like(_MATRIX)


def multiply(steps: int) -> None:
    """So many multiplications of matrices by the host, as work that someone adds to the preparation of a batch."""
    for _ in range(steps):
        np.dot(_MATRIX, _MATRIX, out=_PRODUCT)


def steps_in_a_block(loops: Iterable[Any], batches: int) -> float:
    """The multiplications that take as long as a block of the loops, which are alike; both measured in turns."""
    blocks, steps = [], []
    for _ in range(REPEATS):
        for loop in loops:
            blocks.append(clock.seconds_for(loop, batches))
            started = time.perf_counter()
            multiply(STEPS)
            steps.append((time.perf_counter() - started) / STEPS)
    return float(np.median(blocks) / np.median(steps))


class Planted:
    """A loop that does what another does, and a share more in each block.

    Args:
        loop: the other one.
        share: of a block's time: 0.05 makes a loop that is 5% slower.
        steps: multiplications that take as long as a block.
        beginning: share of a block that it costs to keep the host busy before a block at all: TensorFlow's threads
            have gone to sleep meanwhile.
    """

    def __init__(self, loop: Any, share: float, steps: float, beginning: float) -> None:
        self._loop = loop
        self._steps = round((share - beginning) * steps)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def run(self, batches: int) -> None:
        """Works, and trains."""
        multiply(self._steps)
        self._loop.run(batches)
