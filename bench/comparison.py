"""What a record says of the two loops, in numbers: every renderer takes its figures from here."""

from __future__ import annotations

import dataclasses

import numpy as np

from bench import statistics
from bench.record import ARMS, Arm, Record, Survival
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
class Comparison:
    """Of both loops."""

    before: ArmFigures
    after: ArmFigures
    speed_up: Interval | None  # time before / time after

    @classmethod
    def of(cls, record: Record) -> Comparison:
        """The figures of a record."""
        times = {
            arm: np.array([1e3 * done.seconds[arm] / done.batches for done in record.rounds])  # ms a batch
            for arm in ARMS
        }
        before, after = (_figures(record.arms[arm], times[arm]) for arm in ARMS)
        speed_up = statistics.ratio_interval(times["before"], times["after"]) if record.rounds else None
        return cls(before, after, speed_up)


def _figures(arm: Arm, times: np.ndarray) -> ArmFigures:
    starts = np.array([start.seconds for start in arm.starts])
    syncs = arm.host_syncs
    first, last = arm.described_first.get("temperature"), arm.described_last.get("temperature")
    return ArmFigures(
        ms_per_batch=statistics.spread(times) if times.size else None,
        start_seconds=statistics.spread(starts) if starts.size else None,
        host_syncs_per_batch=None if syncs is None else syncs.reads_per_batch,
        nbytes_per_batch=None if syncs is None else syncs.nbytes_per_batch,
        temperature=None if first is None or last is None else (float(first), float(last)),
        survivals={survival.fault: survival for survival in arm.survivals},
    )
