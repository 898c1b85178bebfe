"""Loops timed in turns, so that drift of the machine hits all alike: the interleaver, and two kinds of orders."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from loop_bench.timing.samples import Ended, Round
from loop_bench.timing.stopping import StoppingRule

MOST_PERMUTED = 3
"""Loops whose permutations are few enough to be gone through many times in a run."""


Timer = Callable[[int], float]
"""Trains so many batches of a loop, wherever that lives; gives the seconds, as `clock.seconds_for` does."""


class Interleaver:
    """Times a block of batches of each loop, again and again, after one of each that is in no round.

    That one is for whatever a loop does only once. Batches of another kind do not stand for it: on two cores, the first
    block of ten after a hundred batches whose reads were counted took 48 ms, and the second 13.

    Args:
        timers: of the loops, by name.
        batches: of a block.
        group: that its rounds are of.
        failed: is told of a loop that raises while it trains, which takes no further part; the round is none. None: the
            error goes to whoever asked for the round.

    Attributes:
        rounds: those that are complete.
        timers: of those that take part.
        batches: of a block.
        trained: batches that each loop has been asked for in here, the warm-up included.
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
        """Rounds until a rule says that there are enough, or no loop is left.

        Args:
            rule: is asked before each round.
            progress: is told the number of rounds and the share of the work that is done, before each.

        Returns:
            Why they ended, None when no loop was left; and the seconds from the first to the last, with all that is
            done between the blocks.
        """
        ended, started = None, time.perf_counter()
        while self.timers and (ended := rule(self.rounds)) is None:
            progress(len(self.rounds), rule.share(self.rounds))
            self.round()
        return ended, time.perf_counter() - started

    def round(self) -> None:
        """One round more. An interruption in the middle of it leaves the rounds before it, and nothing of this one."""
        order = tuple(name for name in next(self._orders) if name in self.timers)
        seconds = {}
        for name in order:
            took = self._try(name)
            if took is None:
                return
            seconds[name] = took
        self.rounds.append(Round(batches=self.batches, order=order, seconds=seconds, group=self._group))

    def block(self, name: str) -> float:
        """Trains a block of one loop, outside of any round; returns its seconds."""
        self.trained[name] += self.batches
        return self.timers[name](self.batches)

    def _try(self, name: str) -> float | None:
        """The seconds of a block; None of a loop that failed in it and has left."""
        try:
            return self.block(name)
        except Exception as error:
            if self._failed is None:
                raise
            del self.timers[name]
            self._failed(name, error)
            return None


def rotated(names: Sequence[str], group: int) -> list[str]:
    """The order in which loops do what each of them does once in a group of processes; another one is first in each.

    What was done last, and by which process, can make a difference that stays: on two cores, of two processes of one
    loop the one that had trained the last long block was 1% faster in a hundred rounds of one batch.

    Args:
        names: of the loops.
        group: its number. Over twice as many groups as there are names each has been at each place twice.
    """
    cycle, place = divmod(group, max(1, len(names)))  # a ladder may have none left
    turned = [*names[place:], *names[:place]]
    return turned[::-1] if cycle % 2 else turned


def balanced_orders(names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Orders without end in which no loop has a place of its own.

    All permutations of up to MOST_PERMUTED loops, rows of Williams squares of more.

    Args:
        names: of the loops.
        seed: of the shuffling.
    """
    return permuted_orders(names, seed) if len(names) <= MOST_PERMUTED else williams_orders(names, seed)


def permuted_orders(names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Every order as often as every other, shuffled anew each time through.

    So each loop is first, in the middle and last equally often, and each follows each: what one leaves behind
    in the caches hits all alike. Shuffled, so that nothing periodic keeps step with it.
    """
    shuffler = random.Random(seed)
    orders = list(itertools.permutations(names))
    while True:
        shuffler.shuffle(orders)
        yield from orders


def williams_orders(names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Rows of Williams squares, drawn anew each time through.

    After every second order each name has been as early as late: the second is the first turned round. After twice
    as many orders as names (as many, if they are even) each has been at each place equally often, and has followed
    each other one equally often (Williams, Australian Journal of Scientific Research A 2, 1949). All the permutations,
    of which there are too many, would say no more.
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
