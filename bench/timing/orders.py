"""In which order many loops are timed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence


def balanced_orders(names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Orders without end, drawn anew each time through, in which no loop has a place of its own.

    After every second order each name has been as early as late: the second is the first turned round. After twice
    as many orders as names (as many, if they are even) each has been at each place equally often, and has followed
    each other one equally often: a Williams design (Australian Journal of Scientific Research A 2, 1949). All the
    permutations, of which there are too many, would say no more.

    Args:
        names: of the loops.
        seed: of the shuffling.
    """
    shuffler, count = random.Random(seed), len(names)
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]  # 0, 1, -1, 2, -2, ...
    while True:
        shuffled = shuffler.sample(list(names), count)
        shifts = range(count if count % 2 else count // 2)
        for shift in shuffler.sample(list(shifts), len(shifts)):
            order = tuple(shuffled[(place + shift) % count] for place in zigzag)
            yield order
            yield order[::-1]
