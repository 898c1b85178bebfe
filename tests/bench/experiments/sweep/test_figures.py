import pytest
from sweeps import BATCH, measured, scaling, sweep, sweep_record

from loop_bench.experiments.run.verdict import Kind
from loop_bench.experiments.sweep import figures
from loop_bench.experiments.sweep.plan import Size


@pytest.fixture(scope="module")
def found():
    """Figures of the usual record, computed once because their intervals are slow."""
    return figures.of(sweep_record())


def test_each_value_of_each_axis_has_its_figures(found):
    batch, tokens = found
    assert (batch.name, batch.unit, tokens.name, tokens.unit) == ("batch", "tokens", "tokens", "tokens")
    assert [point.value for point in batch.points] == [16, 64, 256]
    assert [point.own for point in batch.points] == [False, True, False]
    assert tokens.points[0].arms == batch.points[1].arms


def test_cost_and_ratio_of_both_loops(found):
    small = found[0].points[0]
    assert small.arms["before"].ms_per_batch.median == pytest.approx(20, rel=0.01)
    assert small.arms["after"].ms_per_batch.median == pytest.approx(10, rel=0.01)
    assert small.arms["before"].ms_per_batch.low < small.arms["before"].ms_per_batch.median
    assert small.speed_up.estimate == pytest.approx(2, rel=0.01)
    assert small.null.estimate == pytest.approx(1, rel=0.01)
    assert (small.rounds, small.verdict.kind, small.why_not) == (20, Kind.FASTER, "")


def test_throughput_is_of_tokens_where_they_are_known(found):
    batch, tokens = found
    assert batch.points[0].arms["before"].per_second.median == pytest.approx(16 * 20 / 0.020, rel=0.01)
    assert tokens.points[1].arms["after"].per_second.median == pytest.approx(64 * 40 / 0.040, rel=0.01)


def without_tokens(samples):
    plan = sweep()
    bare = {name: tuple(point.model_copy(update={"tokens": None}) for point in of) for name, of in plan.points.items()}
    plan = plan.model_copy(update={"points": bare})
    return sweep_record(plan, [measured(point, samples) for point in plan.distinct().values()])


def test_throughput_is_of_samples_where_tokens_are_not_known():
    axis, _ = figures.of(without_tokens(64))
    assert axis.unit == "samples"
    assert axis.points[0].arms["before"].per_second.median == pytest.approx(64 / 0.060, rel=0.01)


def test_an_axis_has_one_unit_for_all_of_its_points():
    sizes = {BATCH: [Size({}, 20), Size({"size": 2}, None), Size({"size": 3}, 20)]}
    plan = sweep(sizes)
    record = sweep_record().model_copy(
        update={"sweep": plan, "measured": {name: measured(point) for name, point in plan.distinct().items()}}
    )
    (axis,) = figures.of(record)
    assert axis.unit == "samples"
    assert axis.points[0].arms["before"].per_second.median == pytest.approx(64 / 0.060, rel=0.01)


def test_loops_that_do_not_say_how_much_they_train_on_have_no_throughput():
    axis, _ = figures.of(without_tokens(None))
    assert axis.unit is None
    assert axis.points[0].arms["before"].per_second is None


def test_one_loop_may_say_what_the_other_does_not():
    record = without_tokens(64)
    half = {name: each.model_copy(update={"samples": {"after": 64.0}}) for name, each in record.measured.items()}
    point = figures.of(record.model_copy(update={"measured": half}))[0].points[0]
    assert point.arms["before"].per_second is None
    assert point.arms["after"].per_second is not None


def test_a_point_that_died_says_of_what(found):
    large = found[0].points[2]
    assert (large.arms, large.speed_up, large.verdict, large.rounds) == ({}, None, None, 0)
    assert large.why_not.startswith("crashed: killed by SIGKILL")


def test_efficiency_is_the_time_of_one_replica_over_that_of_all_together():
    times = [{"before": 0.060}, {"before": 0.040}, {"before": 0.030}]  # and `after` gains nothing
    (axis,) = figures.of(scaling(times=times))
    one, two, four = (point.arms for point in axis.points)
    assert axis.scales
    assert one["before"].efficiency is None
    assert two["before"].efficiency.estimate == pytest.approx(0.75, rel=0.01)
    assert four["before"].efficiency.estimate == pytest.approx(0.5, rel=0.01)
    assert four["after"].efficiency.estimate == pytest.approx(0.25, rel=0.01)
    assert (
        0.74 < two["before"].efficiency.low < two["before"].efficiency.estimate < two["before"].efficiency.high < 0.76
    )


@pytest.mark.parametrize(
    "changes", [{"values": (2, 4)}, {"name": "batch", "values": (1, 2)}, {"values": (1, 2), "times": [None, {}]}]
)
def test_without_a_single_replica_there_is_none(changes):
    (found,) = figures.of(scaling(**{"times": [{}, {}], **changes}))
    assert not found.scales
