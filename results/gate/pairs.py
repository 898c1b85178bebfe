"""The rounds of two loops out of a run with several, ended where the harness's stopping rule would end them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loop_bench.experiments.run.record import ArmRecord, Record
from loop_bench.settings import ARMS, NULL, Settings
from loop_bench.timing import samples
from loop_bench.timing.samples import Ended, Round
from loop_bench.timing.stopping import of_group


class Pair:
    """The rounds of a group with one loop before and one after, until the stopping rule ends them for these two.

    Args:
        settings: settings of the run.
        group: index of the group of processes.

    Attributes:
        rounds: the rounds so far.
        ended: why no more rounds are taken; None: they are.
    """

    def __init__(self, settings: Settings, group: int = 0) -> None:
        self.rounds: list[Round] = []
        self._batches, self._group, self._elapsed = settings.batches, group, 0.0
        self._rule = of_group(settings, group, clock=lambda: self._elapsed)
        self.ended: Ended | None = self._rule([])

    def add(self, before: float, null: float, after: float) -> None:
        """Adds the seconds of a round, unless the stopping rule has ended the rounds."""
        if self.ended:
            return
        seconds = {ARMS[0]: before, NULL: null, ARMS[1]: after}
        self.rounds.append(Round(batches=self._batches, order=(*ARMS, NULL), seconds=seconds, group=self._group))
        self._elapsed += sum(seconds.values())
        self.ended = self._rule(self.rounds)


def record(kept: Mapping[str, Any], settings: Settings, pairs: Sequence[Pair]) -> Record:
    """Makes the record of a run from its pairs, one from each group of processes.

    Args:
        kept: `created` and `environment`, as in the experiments' lines of JSON.
        settings: settings of the run.
        pairs: the pairs, complete.
    """
    rounds = tuple(timed for pair in pairs for timed in pair.rounds)
    return Record(
        created=kept["created"],
        settings=settings,
        environment=kept["environment"],
        arms={arm: ArmRecord(factory=settings.before) for arm in ARMS},
        rounds=rounds,
        rounds_ended="precise" if all(pair.ended == "precise" for pair in pairs) else "out of time",
        rounds_seconds=samples.seconds(rounds),
        problems=(),
    )
