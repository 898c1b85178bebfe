"""Figures of a ladder, computed from its record; all renderers use them."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np

from loop_bench import statistics
from loop_bench.experiments.ladder.plan import Rung
from loop_bench.experiments.ladder.record import Finding, LadderRecord
from loop_bench.settings import NULL
from loop_bench.statistics import Interval, Spread

Effect = Literal["none", "faster", "slower", "no measurable difference", "too few rounds", "invalid"]
"""Effect of a change on the time; none: the baseline; invalid: the rung or its reference is."""


@dataclasses.dataclass(frozen=True)
class RungFigures:
    """Figures of one rung; None: not measured, or not valid."""

    rung: Rung
    finding: Finding
    ms_per_batch: Spread | None
    stopped: str  # why its timing stopped or never began; empty: it was timed to the end
    invalid: str  # why its speed-up is invalid, in words, including `stopped`; empty: it is valid
    reference: str  # the rung that differs by one change: the one before, or the full set; empty: this is the baseline
    over_reference: Interval | None  # time of the reference / time of this rung
    over_baseline: Interval | None  # time of the baseline / time of this rung
    ms_from_reference: Interval | None  # ms/batch of this rung: the reference's median divided by `over_reference`

    @property
    def unknown(self) -> str:
        """Why the effect of a valid rung's change is unknown, in words."""
        return f"change not known: {self.reference} has no valid time"


@dataclasses.dataclass(frozen=True)
class LadderFigures:
    """Figures of a whole ladder."""

    rungs: tuple[RungFigures, ...]  # in the ladder's order
    null: Interval | None  # time of the baseline / time of its second instance

    @classmethod
    def of(cls, record: LadderRecord) -> LadderFigures:
        """Computes the figures of a record."""
        null = _ratio(record, record.ladder.baseline.name, NULL)
        return cls(tuple(_figures(record, rung) for rung in record.ladder.rungs), null)

    @property
    def full(self) -> RungFigures:
        """Figures of the last step, with all changes."""
        return [figures for figures in self.rungs if figures.rung.group == "step"][-1]

    @property
    def noise(self) -> float:
        """The factor by which two instances of the baseline may differ; 1 if it is not known."""
        if self.null is None or math.isinf(self.null.high):
            return 1.0
        return max(self.null.high, 1 / self.null.low)

    def measurable(self, ratio: Interval) -> bool:
        """Whether a ratio differs from 1 by more than the noise of the run."""
        return ratio.low > self.noise or ratio.high < 1 / self.noise

    def effect(self, rung: RungFigures) -> Effect:
        """The effect of a rung's change on the time."""
        if not rung.reference and not rung.invalid:
            return "none"
        if rung.over_reference is None:
            return "invalid"
        if math.isinf(rung.over_reference.high):
            return "too few rounds"
        if not self.measurable(rung.over_reference):
            return "no measurable difference"
        return "faster" if rung.over_reference.estimate > 1 else "slower"

    def rung(self, name: str) -> RungFigures:
        """Figures of the rung with this name."""
        return next(figures for figures in self.rungs if figures.rung.name == name)


def invalid(record: LadderRecord, rung: Rung) -> str:
    """Why nothing can be concluded from a rung's times, in words; empty: they are valid."""
    if stopped := record.stopped.get(rung.name):
        return stopped
    equivalence = record.findings[rung.name].equivalence
    if equivalence and not equivalence.equal:
        return f"does not compute what {record.ladder.baseline.name} does: {equivalence.reason}"
    if equivalence and (why := rung.candidate.inexact(equivalence, record.environment)):
        return why
    return "; ".join(record.problems.get(rung.name, ()))


def _figures(record: LadderRecord, rung: Rung) -> RungFigures:
    reference = record.ladder.reference(rung)
    ms = _milliseconds(record, rung.name)
    over_reference = _valid_ratio(record, reference, rung)
    return RungFigures(
        rung=rung,
        finding=record.findings[rung.name],
        ms_per_batch=statistics.spread(ms) if ms.size else None,
        stopped=record.stopped.get(rung.name, ""),
        invalid=invalid(record, rung),
        reference=reference.name if reference else "",
        over_reference=over_reference,
        over_baseline=_valid_ratio(record, record.ladder.baseline, rung) if reference else None,
        ms_from_reference=_times(record, reference, over_reference),
    )


def _valid_ratio(record: LadderRecord, reference: Rung | None, rung: Rung) -> Interval | None:
    if reference is None or invalid(record, reference) or invalid(record, rung):
        return None
    return _ratio(record, reference.name, rung.name)


def _ratio(record: LadderRecord, reference: str, rung: str) -> Interval | None:
    """Time of the reference / time of the rung, over the rounds in which both were timed; None: there are none."""
    common = [turn.seconds for turn in record.rounds if reference in turn.seconds and rung in turn.seconds]
    if not common:
        return None
    of_reference, of_rung = (np.array([seconds[name] for seconds in common]) for name in (reference, rung))
    return statistics.ratio_interval(of_reference, of_rung)


def _times(record: LadderRecord, reference: Rung | None, over: Interval | None) -> Interval | None:
    if reference is None or over is None:
        return None
    middle = float(np.median(_milliseconds(record, reference.name)))
    estimate, low, high = over.reciprocal
    return Interval(middle * estimate, middle * low, middle * high)


def _milliseconds(record: LadderRecord, rung: str) -> np.ndarray:
    """Milliseconds a batch of a rung, [rounds] (those in which it was timed)."""
    return np.array(
        [1e3 * turn.seconds[rung] / record.ladder.batches for turn in record.rounds if rung in turn.seconds]
    )
