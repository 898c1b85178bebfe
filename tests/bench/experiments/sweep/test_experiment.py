import pytest
import toys
from records import ENVIRONMENT, record
from sweeps import sweep
from trials import Door, died

from loop_bench.errors import UsageError
from loop_bench.experiments.sweep import experiment
from loop_bench.experiments.sweep.experiment import LEAST_ROUNDS, forget, measure_trial
from loop_bench.experiments.sweep.trial import Point, PointTrial, TimedPoint
from loop_bench.jobs.trial import attempt
from loop_bench.settings import Settings

TITLES = ["batch 16", "batch 64 = tokens 20", "batch 256", "tokens 40"]


@pytest.fixture
def door(monkeypatch):
    monkeypatch.setattr(experiment, "environment", lambda: ENVIRONMENT)
    return Door(lambda trial: TimedPoint(record=record(), samples={"before": 64, "after": 64}))


def test_each_point_is_measured_once_and_none_beside_another(door, tmp_path):
    told = []
    found = experiment.sweep(sweep(), tmp_path, told.append, door)
    assert told == door.titles == TITLES
    assert door.workers == 1
    assert list(found.measured) == list(sweep().distinct())
    assert found.environment == ENVIRONMENT


def test_a_point_that_dies_does_not_end_the_sweep(door, tmp_path):
    whole = door.answer
    door.answer = lambda trial: died(trial, "timed out") if trial.title == "batch 256" else whole(trial)
    found = experiment.sweep(sweep(), tmp_path, run=door)
    assert [each.ended for each in found.measured.values()] == ["measured", "measured", "timed out", "measured"]
    door.asked.clear()
    experiment.sweep(sweep(time_limit=1800.0), tmp_path, run=door)
    assert door.titles == ["batch 256"]  # with more time only what ran out of it is measured anew


def test_the_same_command_resumes_an_interrupted_run(door, tmp_path):
    door.interrupted_after = 2
    with pytest.raises(KeyboardInterrupt):
        experiment.sweep(sweep(), tmp_path, run=door)
    told, door.interrupted_after = [], None
    door.asked.clear()
    experiment.sweep(sweep(), tmp_path, told.append, door)
    assert door.titles == TITLES[2:]
    assert told == TITLES


def test_points_of_another_machine_are_refused(door, tmp_path, monkeypatch):
    experiment.sweep(sweep(), tmp_path, run=door)
    monkeypatch.setattr(experiment, "environment", lambda: {**ENVIRONMENT, "cpu": "another"})
    with pytest.raises(UsageError, match="were made with another cpu"):
        experiment.sweep(sweep(), tmp_path, run=door)


def test_the_points_of_one_that_is_over_go_and_the_next_one_starts_anew(door, tmp_path):
    experiment.sweep(sweep(), tmp_path, run=door)
    assert (tmp_path / "points").is_dir()
    (tmp_path / "sweep.json").write_text("{}")
    forget(tmp_path)
    forget(tmp_path)  # of which nothing is left
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def at(before="toys:plain", after="toys:reading", time_limit=60.0, **changes):
    given = {"before": before, "after": after, "preset": "any", "seed": 0, "batches": 2, "rounds": 12, **changes}
    return PointTrial.of(Point(settings=Settings(**given), time_limit=time_limit), "batch 64")


@pytest.fixture(scope="module")
def found():
    """A point of twelve rounds, with a larger max_time than its time limit allows."""
    return measure_trial(at(max_time=1e6))


@pytest.fixture(scope="module")
def few():
    """A point of three rounds, with a smaller max_time."""
    return measure_trial(at(rounds=3, max_time=10.0))


def test_both_loops_and_the_null_arm_are_timed_in_turns(found):
    assert (len(found.record.rounds), found.record.problems) == (12, ())
    assert {arm.factory for arm in found.record.arms.values()} == {"toys:plain", "toys:reading"}
    assert all(arm.starts and not arm.history for arm in found.record.arms.values())
    assert found.samples == {}  # toys do not say
    assert TimedPoint.model_validate_json(found.model_dump_json()) == found


def test_there_are_rounds_enough_for_an_interval_however_little_time_there_is():
    assert len(measure_trial(at(rounds=None, precision=1e-9, max_time=1e-9)).record.rounds) == LEAST_ROUNDS


def test_so_many_rounds_as_are_asked_for(few):
    assert len(few.record.rounds) == 3


def test_rounds_never_take_all_of_a_points_time(found, few):
    assert [each.record.settings.max_time for each in (few, found)] == [10.0, 30.0]


def test_samples_a_batch_are_what_a_loop_says(monkeypatch):
    monkeypatch.setattr(toys.Quadratic, "describe", lambda self: {"samples": 64 * len(self.losses)}, raising=False)
    assert measure_trial(at()).samples == {"before": 64.0, "after": 64.0}


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ("toys:failing", "loop 'toys:failing' (after): run() failed with RuntimeError: out of something, at "),
        ("toys:no_variables", "factory 'toys:no_variables' (after): variables of its NoVariables"),
    ],
)
def test_a_failure_at_one_size_is_a_result(after, says):
    result = attempt(at(after=after))
    assert (result.ended, result.found) == ("crashed", None)
    assert result.why.startswith(says)
    assert len(result.why.splitlines()) == 1


def test_a_loop_that_is_not_to_be_had_is_no_result():
    with pytest.raises(UsageError, match=r"factory 'toys:none': toys has no none"):
        attempt(at(after="toys:none"))
