"""From one record to another: what became of the loops, as far as the two can be compared."""

from __future__ import annotations

import dataclasses

from bench.errors import InvalidRecordError
from bench.experiments.run.figures import Comparison
from bench.experiments.run.record import Record
from bench.experiments.run.verdict import invalid
from bench.records import comparability
from bench.settings import ARMS
from bench.statistics import Interval, unpaired_ratio_interval
from bench.timing import samples


@dataclasses.dataclass(frozen=True)
class Change:
    """The ratios are second/first: above 1 is more."""

    first: Comparison
    second: Comparison
    ms_per_batch: dict[str, Interval]  # by arm; empty when times cannot be compared
    speed_up: Interval | None  # None when the loops or their work are others
    differing: tuple[str, ...]  # why they cannot, each in words
    other_loops: tuple[str, ...]  # arms whose loop is another one, each in words

    @classmethod
    def of(cls, first: Record, second: Record) -> Change:
        """Between two records.

        Raises:
            InvalidRecordError: nothing can be concluded from one of them.
        """
        for title, record in (("first", first), ("second", second)):
            if problems := invalid(record):
                raise InvalidRecordError(f"the {title} record is invalid: {'; '.join(problems)}")
        differing, other_loops = comparability.differences(second, first), comparability.arms(second, first)
        ms, speed_up = {}, None
        if not (differing or other_loops):
            for arm in ARMS:
                there, here = (samples.milliseconds(record.rounds, arm) for record in (first, second))
                ms[arm] = unpaired_ratio_interval(here, there)
        if not (other_loops or comparability.settings(second, first)):
            speed_up = unpaired_ratio_interval(samples.ratios(second.rounds), samples.ratios(first.rounds))
        return cls(Comparison.of(first), Comparison.of(second), ms, speed_up, tuple(differing), tuple(other_loops))
