"""Figures of a run, computed from its record; verdict, gate and all renderers use them."""

from __future__ import annotations

import dataclasses
import operator

import numpy as np

from loop_bench import statistics
from loop_bench.experiments.run.record import ArmRecord, Record
from loop_bench.experiments.survival.record import Survival
from loop_bench.experiments.syncs.record import HostSyncs, TracedFunction, merged
from loop_bench.experiments.telemetry.record import Telemetry
from loop_bench.settings import ARMS
from loop_bench.statistics import Autocorrelation, Drift, Interval, Spread
from loop_bench.timing import samples


@dataclasses.dataclass(frozen=True)
class Throughput:
    """Tokens or samples that a loop trains on per second."""

    unit: str  # tokens; samples if the loop does not report `tokens_per_sample`
    per_second: Spread


@dataclasses.dataclass(frozen=True)
class ArmFigures:
    """Figures of one loop; None: not measured."""

    ms_per_batch: Spread | None
    start_seconds: Spread | None  # from calling the factory to the end of the first batch
    host_syncs: HostSyncs | None
    batches_per_epoch: int | None  # None: the loop does not report it
    temperature: tuple[float, float] | None  # at the start and at the end of the timed batches
    survivals: dict[str, tuple[Survival, ...]]  # by the text of the fault, one per seed
    telemetry: Telemetry | None = None
    traced: tuple[TracedFunction, ...] | None = None  # functions that were traced after warm-up
    throughput: Throughput | None = None  # None: the loop does not report its samples

    @property
    def host_syncs_per_batch(self) -> float | None:
        """Reads of the device by the host, per batch."""
        return None if self.host_syncs is None else self.host_syncs.reads_per_batch

    @property
    def host_syncs_per_epoch(self) -> float | None:
        """Reads of the device by the host, per epoch as the loop defines it."""
        if self.host_syncs is None or self.batches_per_epoch is None:
            return None
        return self.host_syncs.reads_per_batch * self.batches_per_epoch

    @property
    def traces(self) -> int | None:
        """The number of traces of functions after warm-up."""
        return None if self.traced is None else sum(function.traces for function in self.traced)

    @property
    def nbytes_per_batch(self) -> float | None:
        """Bytes read from the device, per batch."""
        return None if self.host_syncs is None else self.host_syncs.nbytes_per_batch


@dataclasses.dataclass(frozen=True)
class Timing:
    """Figures of the rounds of a run."""

    speed_up: Interval  # time before / time after
    null: Interval  # time of the loop before / time of its second instance
    null_differs: bool  # whether `null` excludes 1 at the level of one false alarm in a thousand runs
    null_ms_per_batch: Spread
    speed_up_of_totals: float
    drift: Drift  # of the speed-up over the run
    autocorrelation: Autocorrelation  # of the speed-up from round to round
    overhead: float  # time between blocks, as a share of the measured time


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Figures of both loops and of their timing."""

    before: ArmFigures
    after: ArmFigures
    timing: Timing | None  # None: nothing was timed
    survival_preset: str | None = None  # preset of the loops with faults; None: that of the run
    replicas: int = 1  # requested devices that share each batch

    @classmethod
    def of(cls, record: Record) -> Comparison:
        """Computes the figures of a record."""
        timing = _timing(record) if record.rounds else None
        preset = record.survival_preset if record.survival_preset != record.settings.preset else None
        before, after = (_figures(record, arm) for arm in ARMS)
        return cls(before, after, timing, preset, record.settings.replicas)


def _figures(record: Record, name: str) -> ArmFigures:
    arm: ArmRecord = record.arms[name]
    starts = np.array([start.seconds for start in arm.starts])
    epoch = arm.described_first.get("batches_per_epoch")
    first, last = arm.described_first.get("temperature"), arm.described_last.get("temperature")
    return ArmFigures(
        ms_per_batch=statistics.spread(samples.milliseconds(record.rounds, name)) if record.rounds else None,
        start_seconds=statistics.spread(starts) if starts.size else None,
        host_syncs=arm.host_syncs,
        batches_per_epoch=epoch if isinstance(epoch, int) and epoch > 0 else None,
        temperature=None if first is None or last is None else (float(first), float(last)),
        survivals={
            fault: tuple(survival for survival in arm.survivals if survival.fault == fault)
            for fault in dict.fromkeys(survival.fault for survival in arm.survivals)
        },
        telemetry=arm.telemetry,
        traced=traced_when_warm(arm),
        throughput=_throughput(record, arm, samples.milliseconds(record.rounds, name)) if record.rounds else None,
    )


def _throughput(record: Record, arm: ArmRecord, ms: np.ndarray) -> Throughput | None:
    """Throughput of a loop whose describe() has `samples`, and perhaps `tokens_per_sample`; None: it has neither."""
    described, batches = arm.described_last, max(map(len, arm.history.values()), default=0)
    trained, tokens = described.get("samples"), described.get("tokens_per_sample")
    if not isinstance(trained, int | float) or not batches:
        return None
    unit, per_sample = ("tokens", tokens) if isinstance(tokens, int) else ("samples", 1)
    return Throughput(unit, statistics.spread(1e3 * per_sample * trained / batches / ms))


def traced_when_warm(arm: ArmRecord) -> tuple[TracedFunction, ...] | None:
    """The functions that were traced after the loop's warm-up, most traces first; None: not recorded.

    They are those of the batches whose host syncs were counted and of the timed rounds.
    """
    counted = arm.host_syncs.traced if arm.host_syncs else None
    if counted is None and arm.traced is None:
        return None
    functions = merged([*(counted or ()), *(arm.traced or ())], operator.add)
    return tuple(sorted(functions, key=lambda function: -function.traces))


def _timing(record: Record) -> Timing:
    return Timing(
        speed_up=samples.speed_up(record.rounds),
        null=samples.null(record.rounds),
        null_differs=not samples.null(record.rounds, 1 - statistics.SIGNIFICANT).holds(1.0),
        null_ms_per_batch=statistics.spread(samples.milliseconds(record.rounds, "null")),
        speed_up_of_totals=samples.speed_up_of_totals(record.rounds),
        drift=statistics.drift(samples.steady(samples.by_age(record.rounds))),
        autocorrelation=statistics.autocorrelation(samples.steady(record.rounds)),
        overhead=record.rounds_seconds / samples.seconds(record.rounds) - 1.0,
    )
