"""The rungs of a ladder timed in turns, in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.experiments.ladder.plan import Ladder, Rung
from bench.experiments.ladder.record import Turn
from bench.loop import LoopSpec, build, describe, error_line, load
from bench.settings import NULL
from bench.timing import clock, work
from bench.timing.clock import warm_up_tensorflow
from bench.timing.rounds import williams_orders


class Timed:
    """A loop that is warm, and knows what it was when it was fresh.

    Args:
        rung: whose loop.
        ladder: that the rung is of.

    Raises:
        UsageError: the factory is wrong or fails.
    """

    def __init__(self, rung: Rung, ladder: Ladder) -> None:
        spec = LoopSpec(ladder.preset, ladder.seed, rung.options)
        self.loop = build(rung.factory, load(rung.factory), spec)
        self._batches = ladder.batches
        self.loop.run(1)  # traces and compiles
        self._trained = 1
        self._initial, self._described = work.weights(self.loop), describe(self.loop)
        self.block()  # whatever it does only once should be done before the first round

    def block(self) -> float:
        """Trains a block of batches; gives its seconds."""
        self._trained += self._batches
        return clock.seconds_for(self.loop, self._batches)

    def work(self) -> work.Work:
        """What it has to show; reads the device."""
        return work.Work.of(self.loop, self._trained, self._initial, (self._described, describe(self.loop)))


class Turns:
    """Times a block of batches of each loop, again and again.

    A second instance of the baseline takes part: what a run finds between the two is its own noise.

    Attributes:
        rounds: those that are complete.
        loops: by rung, those that still take part.
        stopped: why a rung takes no part any more, by its name.

    Args:
        ladder: of the loops.
        dead: rungs that are not to be tried, since they end their process; each with what it died of.
        tell: is told of each rung when its loop is warm, or has failed.
    """

    def __init__(
        self, ladder: Ladder, dead: Mapping[str, str], tell: Callable[[str], None] = lambda name: None
    ) -> None:
        self.rounds: list[Turn] = []
        self.loops: dict[str, Timed] = {}
        self.stopped = dict(dead)
        self._ladder = ladder
        warm_up_tensorflow()
        for name, rung in {**{rung.name: rung for rung in ladder.rungs}, NULL: ladder.baseline}.items():
            if rung.name not in dead:
                self._begin(name, rung)
            tell(name)
        self._orders = williams_orders([*self.loops])

    def round(self) -> None:
        """One round more; none if a loop fails in it, which is stopped."""
        order = tuple(name for name in next(self._orders) if name in self.loops)
        seconds = {}
        for name in order:
            try:
                seconds[name] = self.loops[name].block()
            except Exception as error:
                self._stop(name, error)
                return
        self.rounds.append(Turn(order=order, seconds=seconds))

    def problems(self) -> dict[str, tuple[str, ...]]:
        """What speaks against rungs having done the work that they were timed for; nothing of those without."""
        done = {name: timed.work() for name, timed in self.loops.items()}
        baseline, found = self._ladder.baseline.name, {}
        for name, its in done.items():
            than = work.unequal(done[baseline], its, (baseline, name)) if baseline in done else []
            found[name] = (*its.problems(), *than)
        return {name: problems for name, problems in found.items() if problems}

    def _begin(self, name: str, rung: Rung) -> None:
        try:
            self.loops[name] = Timed(rung, self._ladder)
        except Exception as error:  # as when the loops that are there already have left too little memory
            self._stop(name, error)

    def _stop(self, name: str, error: Exception) -> None:
        self.loops.pop(name, None)
        self.stopped[name] = f"crashed while the rungs were timed: {error_line(error)}"
