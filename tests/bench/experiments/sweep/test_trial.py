import pytest
import trials
from records import record
from sweeps import SETTINGS, measured, sweep

from loop_bench.experiments.sweep.trial import Measured, Point, PointTrial, TimedPoint


def points(*options, time_limit=60.0):
    return [Point(settings=SETTINGS.model_copy(update={"options": each}), time_limit=time_limit) for each in options]


def test_a_key_says_all_that_makes_a_difference():
    point, *_ = sweep().points["batch"]
    assert point.key == Point.model_validate_json(point.model_dump_json()).key
    one, turned, other = points({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3})
    assert one.key == turned.key != other.key


def test_neither_its_time_nor_what_it_is_called_makes_a_difference():
    (one,), (other,) = points({"a": 1}), points({"a": 1}, time_limit=1.0)
    assert one.key == other.key == PointTrial.of(one, "batch 64").key


def test_a_trial_measures_the_point():
    (point,) = points({"a": 1})
    trial = PointTrial.of(point, "batch 64")
    assert (trial.settings, trial.tokens, trial.title, trial.time_limit) == (point.settings, None, "batch 64", 60.0)
    assert trial.loops == (("a:b", {"a": 1}), ("c:d", {"a": 1}))
    assert PointTrial.model_validate_json(trial.model_dump_json()).settings == point.settings
    assert "loop_bench.experiments.run.measurement" in PointTrial.preload()


def test_of_a_point_that_was_measured_there_is_a_record():
    (point,) = points({"a": 1})
    found = TimedPoint(record=record(), samples={"before": 1.0})
    made = Measured.of(point, trials.found(PointTrial.of(point), found, seconds=9.0))
    assert (made.ended, made.record, made.samples, made.seconds) == ("measured", found.record, found.samples, 9.0)


def test_a_process_that_was_killed_has_no_record():
    (point,) = points({"a": 1})
    found = Measured.of(point, trials.died(PointTrial.of(point), "timed out", "took longer"))
    assert (found.ended, found.why, found.record) == ("timed out", "took longer", None)


@pytest.mark.parametrize(("ended", "has"), [("measured", False), ("crashed", True)])
def test_only_what_was_measured_has_a_record(ended, has):
    (point,) = points({})
    with pytest.raises(ValueError, match="has a record"):
        Measured(point=point, ended=ended, seconds=1.0, record=record() if has else None)


def test_goes_there_and_back():
    (point,) = points({})
    assert Measured.model_validate_json(measured(point).model_dump_json()) == measured(point)
