"""The order in which loops are timed: in turns, so that drift of the machine hits all of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

from bench.loop import TrainingLoop
from bench.timing import clock
from bench.timing.samples import Round


class InterleavedRounds:
    """Times a block of batches of each loop, again and again.

    Attributes:
        rounds: those that are complete.
        loops: by name.
        batches: in a block.
        trained: batches that each loop has been asked for in here, the warm-up included.
    """

    def __init__(self, loops: Mapping[str, TrainingLoop], batches: int) -> None:
        self.rounds: list[Round] = []
        self.loops = loops
        self.batches = batches
        self.trained = dict.fromkeys(loops, 0)
        self._orders = balanced_orders(tuple(loops))
        for name in loops:  # the warm-up: whatever a loop does only once should be done before the first round
            self.block(name)

    def round(self) -> None:
        """One round more. An interruption in the middle of it leaves the rounds before it, and nothing of this one."""
        order = next(self._orders)
        seconds = {name: self.block(name) for name in order}
        self.rounds.append(Round(batches=self.batches, order=order, seconds=seconds))

    def block(self, name: str) -> float:
        """Trains a block of one loop, outside of any round; gives its seconds."""
        self.trained[name] += self.batches
        return clock.seconds_for(self.loops[name], self.batches)


def balanced_orders(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every order as often as every other, shuffled anew each time through.

    So each loop is first, in the middle and last equally often, and each follows each: what one leaves behind
    in the caches hits all alike. Shuffled, so that nothing periodic keeps step with it.
    """
    shuffler = random.Random(0)
    orders = list(itertools.permutations(names))
    while True:
        shuffler.shuffle(orders)
        yield from orders


def williams_orders(names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, ...]]:
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
