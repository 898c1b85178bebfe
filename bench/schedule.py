"""The order in which two loops are timed: in turns, so that drift of the machine hits both."""

from __future__ import annotations

from collections.abc import Mapping

from bench import clock
from bench.loop import TrainingLoop
from bench.record import Round


class InterleavedRounds:
    """Times a block of batches of one loop, then of the other, again and again.

    Who drives it gives the order: a round is `open` with one arm and `close` with the other. pytest-benchmark
    does it with the untimed set-up and the timed target of a test; `run` does it without pytest.

    Attributes:
        rounds: those that are complete.
        loops: by arm.
        trained: batches that each arm has been asked for in here, the warm-up included.
    """

    def __init__(self, loops: Mapping[str, TrainingLoop], batches: int) -> None:
        self.rounds: list[Round] = []
        self.loops = loops
        self.trained = dict.fromkeys(loops, 0)
        self._batches = batches
        self._opened: dict[str, float] = {}
        for arm in loops:  # the warm-up: whatever a loop does only once should be done before the first round
            self._time(arm)

    def open(self, arm: str) -> None:
        """Times `arm` as the first of a new round."""
        self._opened = {arm: self._time(arm)}

    def close(self, arm: str) -> None:
        """Times `arm` as the second of the round that the other arm has opened.

        Without one, the block is trained and not recorded: pytest-benchmark calls its target again to profile it.
        """
        seconds = {**self._opened, arm: self._time(arm)}
        if self._opened:
            self.rounds.append(Round(batches=self._batches, order=tuple(seconds), seconds=seconds))
        self._opened = {}

    def run(self, rounds: int) -> None:
        """So many rounds more, their order balanced (AB, BA, ...)."""
        first, second = self.loops
        for _ in range(rounds):
            self.open(first)
            self.close(second)
            first, second = second, first

    def _time(self, arm: str) -> float:
        self.trained[arm] += self._batches
        return clock.seconds_for(self.loops[arm], self._batches)
