"""Records of sweeps, for tests."""

import datetime

from records import ENVIRONMENT, record

from loop_bench.experiments.sweep.plan import Axis, Size, Sweep
from loop_bench.experiments.sweep.record import SweepRecord
from loop_bench.experiments.sweep.trial import Measured
from loop_bench.settings import Settings

BATCH, TOKENS = Axis(name="batch", values=(16, 64, 256)), Axis(name="tokens", values=(20, 40))
SETTINGS = Settings(before="a:b", after="c:d", preset="tiny", seed=0, batches=10)
SIZES = {
    BATCH: [Size({"batch_size": 16}, 20), Size({}, 20), Size({"batch_size": 256}, 20)],
    TOKENS: [Size({}, 20), Size({"sequence_length": 40}, 40)],
}
"""Values of the axes; the loops' defaults are 64 and 20."""


def sweep(sizes=None, settings=SETTINGS, **changes):
    return Sweep.of(settings, sizes or SIZES, **changes)


def measured(point, samples=64, **times):
    """Record of a point at which `after` takes half as long, to 0.1%; 20 rounds are enough for that."""
    return Measured(
        point=point, ended="measured", seconds=9.0, record=record(**{"noise": 0.001, "count": 20, **times}),
        samples={"before": samples, "after": samples} if samples else {},
    )  # fmt: skip


def died(point, ended="crashed", why="killed by SIGKILL, as the system does when memory runs out"):
    return Measured(point=point, ended=ended, why=why, seconds=3.0)


def usual(plan):
    """Results for five sizes on two axes, which share one; at one size memory ran out."""
    small, own, large = plan.points["batch"]
    long = plan.points["tokens"][-1]
    return [
        measured(small, 16, before=0.020, after=0.010), measured(own, 64), died(large),
        measured(long, 64, before=0.120, after=0.040),
    ]  # fmt: skip


def sweep_record(plan=None, found=None):
    """A record of the given points; None: the usual ones."""
    plan = plan or sweep()
    return SweepRecord(
        created=datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
        environment=ENVIRONMENT,
        sweep=plan,
        measured={each.point.key: each for each in found or usual(plan)},
    )


def scaling(name="replicas", values=(1, 2, 4), times=({}, {"before": 0.040, "after": 0.020}, None)):
    """A record of one axis with the loops' times at its values; None: memory ran out."""
    axis = Axis(name=name, values=values)
    plan = sweep({axis: [Size({name: value}, 20) for value in values]})
    found = [
        died(point) if of is None else measured(point, **of) for point, of in zip(plan.points[name], times, strict=True)
    ]
    return sweep_record(plan, found)
