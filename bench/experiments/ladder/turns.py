"""The rungs of a ladder timed in turns, in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.experiments.ladder.plan import Ladder, Rung
from bench.experiments.ladder.record import Turn
from bench.loop import LoopSpec, TrainingLoop, build, error_line, load
from bench.settings import NULL
from bench.timing import work
from bench.timing.clock import warm_up_tensorflow
from bench.timing.rounds import Interleaver


class Turns:
    """The loops of all rungs, warm and ready to be timed in turns.

    A second instance of the baseline takes part: what a run finds between the two is its own noise.

    Args:
        ladder: of the loops.
        dead: rungs that are not to be tried, since they end their process; each with what it died of.
        progress: is told of each rung when its loop is built, or has failed.

    Attributes:
        timed: the loops that take part.
        stopped: why a rung takes no part any more, by its name.
    """

    def __init__(
        self, ladder: Ladder, dead: Mapping[str, str], progress: Callable[[str], None] = lambda name: None
    ) -> None:
        self.stopped = dict(dead)
        self._ladder = ladder
        self._witnesses: dict[str, work.Witness] = {}
        warm_up_tensorflow()
        loops = {}
        for name, rung in {**{rung.name: rung for rung in ladder.rungs}, NULL: ladder.baseline}.items():
            if rung.name not in dead:
                try:
                    loops[name] = self._begin(name, rung)
                except Exception as error:  # as when the loops that are there already have left too little memory
                    self._stop(name, error)
            progress(name)
        self.timed = Interleaver(loops, ladder.batches, self._stop)  # warms them up

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The complete rounds, as a record keeps them."""
        return tuple(Turn(order=done.order, seconds=done.seconds) for done in self.timed.rounds)

    def problems(self) -> dict[str, tuple[str, ...]]:
        """What speaks against rungs having done the work that they were timed for; nothing of those without."""
        done = {name: self._witnesses[name].work(self.timed.trained[name]) for name in self.timed.loops}
        baseline, found = self._ladder.baseline.name, {}
        for name, its in done.items():
            than = work.unequal(done[baseline], its, (baseline, name)) if baseline in done else []
            found[name] = (*its.problems(), *than)
        return {name: problems for name, problems in found.items() if problems}

    def _begin(self, name: str, rung: Rung) -> TrainingLoop:
        spec = LoopSpec(self._ladder.preset, self._ladder.seed, rung.options)
        loop = build(rung.factory, load(rung.factory), spec)
        loop.run(1)  # traces and compiles
        self._witnesses[name] = work.Witness(loop)
        return loop

    def _stop(self, name: str, error: Exception) -> None:
        self.stopped[name] = f"crashed while the rungs were timed: {error_line(error)}"
