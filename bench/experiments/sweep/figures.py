"""Figures of a sweep, computed from its record; all renderers use them."""

from __future__ import annotations

import dataclasses

from loop_bench.experiments.run.figures import Comparison
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.verdict import Verdict
from loop_bench.experiments.sweep.plan import Axis, Sweep
from loop_bench.experiments.sweep.record import SweepRecord
from loop_bench.experiments.sweep.trial import Measured
from loop_bench.settings import ARMS, REPLICAS
from loop_bench.statistics import Interval, Spread, spread, unpaired_ratio_interval
from loop_bench.timing import samples as rounds


@dataclasses.dataclass(frozen=True)
class ArmCost:
    """Time of a batch, throughput and scaling efficiency of one loop at one size."""

    ms_per_batch: Spread
    per_second: Spread | None  # in units of AxisFigures.unit; None: the loop does not report its samples
    efficiency: Interval | None = None  # of scaling, on the axis REPLICAS; None: one replica was not measured


@dataclasses.dataclass(frozen=True)
class PointFigures:
    """Figures of both loops at one size."""

    value: int  # on the axis
    own: bool  # whether it is the preset's own size
    arms: dict[str, ArmCost]  # empty: not measured
    speed_up: Interval | None  # time before / time after
    null: Interval | None  # time of the loop before / time of its second instance
    rounds: int
    verdict: Verdict | None
    why_not: str  # why the point was not measured, in words; empty: it was


@dataclasses.dataclass(frozen=True)
class AxisFigures:
    """Figures of the points along one axis."""

    name: str
    unit: str | None  # of throughput: `tokens` or `samples`; None: no loop reports its samples
    points: tuple[PointFigures, ...]  # in the order of the values

    @property
    def scales(self) -> bool:
        """Whether any point has an efficiency."""
        return any(cost.efficiency for point in self.points for cost in point.arms.values())


def of(record: SweepRecord) -> tuple[AxisFigures, ...]:
    """Computes the figures along each axis of a sweep."""
    return tuple(_along(axis, record) for axis in record.sweep.axes)


def _along(axis: Axis, record: SweepRecord) -> AxisFigures:
    results = [record.at(point) for point in record.sweep.points[axis.name]]
    unit = _unit(results)
    points = [_point(value, result, unit, record.sweep) for value, result in zip(axis.values, results, strict=True)]
    if axis.name == REPLICAS and axis.values[0] == 1 and (one := results[0].record):
        points = [_scaled(point, one, result.record) for point, result in zip(points, results, strict=True)]
    return AxisFigures(axis.name, unit, tuple(points))


def _scaled(point: PointFigures, one: Record, several: Record | None) -> PointFigures:
    """Adds the efficiency of strong scaling to a point: time of one replica / (replicas x their time), same batch size.

    The times are of two processes, so their rounds are not paired, and the interval lacks the variation between
    processes.
    """
    if several is None or point.value == 1:
        return point
    arms = {}
    for arm, cost in point.arms.items():
        of_one, of_several = (rounds.milliseconds(record.rounds, arm) for record in (one, several))
        shares = (bound / point.value for bound in unpaired_ratio_interval(of_one, of_several))
        arms[arm] = dataclasses.replace(cost, efficiency=Interval(*shares))
    return dataclasses.replace(point, arms=arms)


def _unit(results: list[Measured]) -> str | None:
    """The unit of throughput of an axis, the same for all points so that they are comparable."""
    if not any(result.samples for result in results):
        return None
    return "tokens" if all(result.point.tokens is not None for result in results) else "samples"


def _point(value: int, measured: Measured, unit: str | None, sweep: Sweep) -> PointFigures:
    own, record = sweep.is_own(measured.point), measured.record
    if record is None or not record.rounds:
        return PointFigures(value, own, {}, None, None, 0, None, f"{measured.ended}: {measured.why}")
    comparison = Comparison.of(record)
    timing = comparison.timing
    return PointFigures(
        value=value,
        own=own,
        arms={arm: _cost(record, arm, _per_batch(measured, arm, unit)) for arm in ARMS},
        speed_up=timing.speed_up if timing else None,
        null=timing.null if timing else None,
        rounds=len(record.rounds),
        verdict=Verdict.of(record, comparison),
        why_not="",
    )


def _per_batch(measured: Measured, arm: str, unit: str | None) -> float | None:
    """The number of units of throughput in a batch; None: not known."""
    samples = measured.samples.get(arm)
    if samples is None or unit is None:
        return None
    return samples * (measured.point.tokens or 1) if unit == "tokens" else samples


def _cost(record: Record, arm: str, per_batch: float | None) -> ArmCost:
    ms = rounds.milliseconds(record.rounds, arm)
    return ArmCost(spread(ms), None if not per_batch else spread(1e3 * per_batch / ms))
