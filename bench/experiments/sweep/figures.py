"""What a sweep says in numbers: every renderer takes its figures from here."""

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
    """Cost of a batch to one loop at one size."""

    ms_per_batch: Spread
    per_second: Spread | None  # tokens, or samples where those are not known; None: the loop does not say how many
    efficiency: Interval | None = None  # of scaling, on the axis REPLICAS; None where one replica was not measured


@dataclasses.dataclass(frozen=True)
class PointFigures:
    """Figures of both loops at one size."""

    value: int  # on the axis
    own: bool  # whether it is the size without any axis
    arms: dict[str, ArmCost]  # empty where nothing was measured
    speed_up: Interval | None  # time before / time after
    null: Interval | None  # the same of `before` against a second instance of itself
    rounds: int
    verdict: Verdict | None
    why_not: str  # in words; empty where it was measured


@dataclasses.dataclass(frozen=True)
class AxisFigures:
    """Along one axis."""

    name: str
    unit: str | None  # of throughput: `tokens` or `samples`; None: no loop says how many
    points: tuple[PointFigures, ...]  # in the order of the values

    @property
    def scales(self) -> bool:
        """Whether any point has an efficiency."""
        return any(cost.efficiency for point in self.points for cost in point.arms.values())


def of(record: SweepRecord) -> tuple[AxisFigures, ...]:
    """The figures along each axis of a sweep."""
    return tuple(_along(axis, record) for axis in record.sweep.axes)


def _along(axis: Axis, record: SweepRecord) -> AxisFigures:
    measured = [record.at(point) for point in record.sweep.points[axis.name]]
    unit = _unit(measured)
    points = [_point(value, each, unit, record.sweep) for value, each in zip(axis.values, measured, strict=True)]
    if axis.name == REPLICAS and axis.values[0] == 1 and (one := measured[0].record):
        points = [_scaled(point, one, each.record) for point, each in zip(points, measured, strict=True)]
    return AxisFigures(axis.name, unit, tuple(points))


def _scaled(point: PointFigures, one: Record, several: Record | None) -> PointFigures:
    """A point with the efficiency of strong scaling: time of one replica / (replicas x their time), the batch the same.

    The times are of two processes, whose rounds are no pairs. What one process differs from the next by chance is not
    in the interval.
    """
    if several is None or point.value == 1:
        return point
    arms = {}
    for arm, cost in point.arms.items():
        of_one, of_several = (rounds.milliseconds(record.rounds, arm) for record in (one, several))
        shares = (bound / point.value for bound in unpaired_ratio_interval(of_one, of_several))
        arms[arm] = dataclasses.replace(cost, efficiency=Interval(*shares))
    return dataclasses.replace(point, arms=arms)


def _unit(measured: list[Measured]) -> str | None:
    """One for all points of an axis, or they could not be compared."""
    if not any(each.samples for each in measured):
        return None
    return "tokens" if all(each.point.tokens is not None for each in measured) else "samples"


def _point(value: int, measured: Measured, unit: str | None, sweep: Sweep) -> PointFigures:
    own, record = sweep.is_own(measured.point), measured.record
    if record is None or not record.rounds:
        return PointFigures(value, own, {}, None, None, 0, None, f"{measured.ended}: {measured.why}")
    found = Comparison.of(record)
    timing = found.timing
    return PointFigures(
        value=value,
        own=own,
        arms={arm: _cost(record, arm, _per_batch(measured, arm, unit)) for arm in ARMS},
        speed_up=timing.speed_up if timing else None,
        null=timing.null if timing else None,
        rounds=len(record.rounds),
        verdict=Verdict.of(record, found),
        why_not="",
    )


def _per_batch(measured: Measured, arm: str, unit: str | None) -> float | None:
    """Units of throughput in a batch."""
    samples = measured.samples.get(arm)
    if samples is None or unit is None:
        return None
    return samples * (measured.point.tokens or 1) if unit == "tokens" else samples


def _cost(record: Record, arm: str, per_batch: float | None) -> ArmCost:
    ms = rounds.milliseconds(record.rounds, arm)
    return ArmCost(spread(ms), None if not per_batch else spread(1e3 * per_batch / ms))
