"""Real extra work in a training loop, which the gate should detect."""

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
    """Multiplies matrices on the host, like work that a change adds to the preparation of a batch."""
    for _ in range(steps):
        np.dot(_MATRIX, _MATRIX, out=_PRODUCT)


def steps_in_a_block(loops: Iterable[Any], batches: int) -> float:
    """The number of multiplications that take as long as a block of these equal loops; both are timed alternately."""
    blocks, steps = [], []
    for _ in range(REPEATS):
        for loop in loops:
            blocks.append(clock.seconds_for(loop, batches))
            started = time.perf_counter()
            multiply(STEPS)
            steps.append((time.perf_counter() - started) / STEPS)
    return float(np.median(blocks) / np.median(steps))


class Planted:
    """Wraps a loop, adding work before each block.

    Args:
        loop: the wrapped loop.
        share: added time as a share of a block: 0.05 makes the loop 5% slower.
        steps: multiplications that take as long as a block.
        beginning: fixed cost of keeping the host busy before a block, as a share of a block: TensorFlow's threads go
            to sleep meanwhile.
    """

    def __init__(self, loop: Any, share: float, steps: float, beginning: float) -> None:
        self._loop = loop
        self._steps = round((share - beginning) * steps)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def run(self, batches: int) -> None:
        """Does the added work, then trains."""
        multiply(self._steps)
        self._loop.run(batches)
