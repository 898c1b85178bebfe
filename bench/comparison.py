"""What a record says of the two loops, in numbers: verdict, gate and every renderer take their figures from here."""

from __future__ import annotations

import dataclasses

import numpy as np

from bench import rounds, stability, statistics
from bench.record import Arm, Record, Survival
from bench.stability import Autocorrelation, Drift
from bench.statistics import Interval, Spread


@dataclasses.dataclass(frozen=True)
class ArmFigures:
    """Of one loop; None is what was not measured."""

    ms_per_batch: Spread | None
    start_seconds: Spread | None  # from calling the factory to the end of the first batch
    host_syncs_per_batch: float | None
    nbytes_per_batch: float | None
    temperature: tuple[float, float] | None  # at the start and at the end of the timed batches
    survivals: dict[str, Survival]  # by the text of the fault


@dataclasses.dataclass(frozen=True)
class Timing:
    """Of the rounds of a run."""

    speed_up: Interval  # time before / time after
    null: Interval  # the same of `before` against a second instance of itself
    null_differs: bool  # by more than chance gives once in a thousand runs
    null_ms_per_batch: Spread
    speed_up_of_totals: float
    drift: Drift  # of the speed-up over the run
    autocorrelation: Autocorrelation  # of the speed-up from round to round
    overhead: float  # what was done between the measured blocks, as a share of the time in them


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Of both loops."""

    before: ArmFigures
    after: ArmFigures
    timing: Timing | None  # None when nothing was timed

    @classmethod
    def of(cls, record: Record) -> Comparison:
        """The figures of a record."""
        return cls(_figures(record, "before"), _figures(record, "after"), _timing(record) if record.rounds else None)


def _figures(record: Record, name: str) -> ArmFigures:
    arm: Arm = record.arms[name]
    starts = np.array([start.seconds for start in arm.starts])
    syncs = arm.host_syncs
    first, last = arm.described_first.get("temperature"), arm.described_last.get("temperature")
    return ArmFigures(
        ms_per_batch=statistics.spread(rounds.milliseconds(record.rounds, name)) if record.rounds else None,
        start_seconds=statistics.spread(starts) if starts.size else None,
        host_syncs_per_batch=None if syncs is None else syncs.reads_per_batch,
        nbytes_per_batch=None if syncs is None else syncs.nbytes_per_batch,
        temperature=None if first is None or last is None else (float(first), float(last)),
        survivals={survival.fault: survival for survival in arm.survivals},
    )


def _timing(record: Record) -> Timing:
    ratios = rounds.ratios(record.rounds)
    return Timing(
        speed_up=rounds.speed_up(record.rounds),
        null=rounds.null(record.rounds),
        null_differs=not rounds.null(record.rounds, 1 - stability.SIGNIFICANT).holds(1.0),
        null_ms_per_batch=statistics.spread(rounds.milliseconds(record.rounds, "null")),
        speed_up_of_totals=rounds.speed_up_of_totals(record.rounds),
        drift=stability.drift(ratios),
        autocorrelation=stability.autocorrelation(ratios),
        overhead=record.rounds_seconds / rounds.seconds(record.rounds) - 1.0,
    )
