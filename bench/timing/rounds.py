"""Interleaved timing: loops take turns in balanced orders, so that drift of the machine affects all of them alike."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from loop_bench.timing.samples import Ended, Round
from loop_bench.timing.stopping import StoppingRule

MOST_PERMUTED = 3
"""Most loops for which all permutations are used: few enough that a run repeats each of them many times."""


Timer = Callable[[int], float]
"""Trains a number of batches of a loop, in this process or in the loop's own; returns the seconds that they took."""


class Interleaver:
    """Times rounds of one block of batches per loop, after a warm-up block of each loop that is in no round.

    The warm-up block takes the one-time work of a loop. Other batches cannot replace it: on two cores, the first block
    of ten after a hundred batches whose reads were counted took 48 ms, and the second 13.

    Args:
        timers: timer of each loop, by name.
        batches: batches per block.
        group: number of the group of processes that the rounds belong to.
        failed: called with the name and the error of a loop that raises while it trains; the loop is dropped and the
            round discarded. None: the error is raised.

    Attributes:
        rounds: complete rounds.
        timers: timers of the loops that have not failed.
        batches: batches per block.
        trained: batches that each loop was asked to train here, the warm-up included.
    """

    def __init__(
        self,
        timers: Mapping[str, Timer],
        batches: int,
        group: int = 0,
        failed: Callable[[str, Exception], None] | None = None,
    ) -> None:
        self.rounds: list[Round] = []
        self.timers = dict(timers)
        self.batches = batches
        self.trained = dict.fromkeys(timers, 0)
        self._failed = failed
        self._group = group
        for name in rotated([*timers], group):
            self._try(name)
        self._orders = balanced_orders([*self.timers], group)  # few rounds of many groups: not always the same orders

    def run(
        self, rule: StoppingRule, progress: Callable[[int, float], None] = lambda rounds, share: None
    ) -> tuple[Ended | None, float]:
        """Runs rounds until the stopping rule ends them or every loop has failed.

        Args:
            rule: stopping rule, evaluated before each round.
            progress: called before each round with the number of rounds so far and the share of the work done.

        Returns:
            Why the rounds ended (None: every loop had failed), and the wall-clock seconds of all rounds, including
            the time between blocks.
        """
        ended, started = None, time.perf_counter()
        while self.timers and (ended := rule(self.rounds)) is None:
            progress(len(self.rounds), rule.share(self.rounds))
            self.round()
        return ended, time.perf_counter() - started

    def round(self) -> None:
        """Runs one more round; an interrupted or failed round is not recorded."""
        order = tuple(name for name in next(self._orders) if name in self.timers)
        seconds = {}
        for name in order:
            took = self._try(name)
            if took is None:
                return
            seconds[name] = took
        self.rounds.append(Round(batches=self.batches, order=order, seconds=seconds, group=self._group))

    def block(self, name: str) -> float:
        """Trains one block of a loop, outside of any round; returns its seconds."""
        self.trained[name] += self.batches
        return self.timers[name](self.batches)

    def _try(self, name: str) -> float | None:
        """The seconds of a block; None if the loop failed in it and was dropped."""
        try:
            return self.block(name)
        except Exception as error:
            if self._failed is None:
                raise
            del self.timers[name]
            self._failed(name, error)
            return None


def rotated(names: Sequence[str], group: int) -> list[str]:
    """Order in which the loops of a group of processes do their one-time work; each group starts with another loop.

    The order can have a lasting effect: on two cores, of two processes of one loop the one that had trained the last
    long block was 1% faster in a hundred rounds of one batch.

    Args:
        names: names of the loops.
        group: number of the group. In twice as many groups as there are names, each name takes each place twice.
    """
    cycle, place = divmod(group, max(1, len(names)))  # a ladder may have no loop left
    turned = [*names[place:], *names[:place]]
    return turned[::-1] if cycle % 2 else turned


def balanced_orders(names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Endless orders of the loops in which no loop is favoured by its place.

    All permutations for up to MOST_PERMUTED loops, rows of Williams squares for more.

    Args:
        names: names of the loops.
        seed: seed of the shuffling.
    """
    return permuted_orders(names, seed) if len(names) <= MOST_PERMUTED else williams_orders(names, seed)


def permuted_orders(names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Endless orders of the loops: all permutations equally often, reshuffled after each pass.

    Each loop is first, in the middle and last equally often, and follows each other loop equally often, so that what
    a loop leaves in the caches affects all loops alike. Shuffling keeps the orders out of step with periodic events.
    """
    shuffler = random.Random(seed)
    orders = list(itertools.permutations(names))
    while True:
        shuffler.shuffle(orders)
        yield from orders


def williams_orders(names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Endless orders of the loops: rows of Williams squares, a new square drawn after each pass.

    Every second order is the one before it reversed, so that each name comes early as often as late. After twice as
    many orders as names (as many, if the number of names is even) each name has taken each place equally often, and
    has followed each other name equally often (Williams, Australian Journal of Scientific Research A 2, 1949). With so
    many loops, all permutations would be too many for a run.
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
