import json

import pytest
from records import record
from sweeps import SETTINGS, measured, sweep

from bench.errors import InvalidRecordError, UsageError
from bench.experiments.run.measurement import Measurement
from bench.experiments.sweep import trial as points
from bench.experiments.sweep.trial import LEAST_ROUNDS, Measured, Point
from bench.jobs import pool
from bench.jobs.pool import REFUSED, Death
from bench.settings import Settings


def at(before="toys:plain", after="toys:reading", **changes):
    given = {"before": before, "after": after, "preset": "any", "seed": 0, "batches": 2, "rounds": 12, **changes}
    return Point(settings=Settings(**given), time_limit=60.0)


def measure(point):
    return points.measure(point, Measurement(point.settings), started=0.0)


def test_a_name_says_all_that_makes_a_difference():
    point, *_ = sweep().points["batch"]
    assert point.name == Point.model_validate_json(point.model_dump_json()).name
    turned = [
        Point(settings=SETTINGS.model_copy(update={"options": options}), time_limit=1.0)
        for options in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3})
    ]
    assert turned[0].name == turned[1].name != turned[2].name


def test_a_job_measures_the_point():
    point = at()
    job = point.job("batch 64")
    assert job.arguments[:2] == ("-m", "bench.experiments.sweep.trial")
    assert Point.model_validate_json(job.arguments[2]) == point
    assert (job.name, job.title, job.time_limit) == (point.name, "batch 64", 60.0)


def test_both_loops_and_the_null_arm_are_timed_in_turns():
    found = measure(at())
    assert (found.ended, len(found.record.rounds), found.record.problems) == ("measured", 12, ())
    assert {arm.factory for arm in found.record.arms.values()} == {"toys:plain", "toys:reading"}
    assert all(arm.starts and not arm.history for arm in found.record.arms.values())
    assert found.samples == {}  # toys do not say
    assert Measured.model_validate_json(found.model_dump_json()) == found


def test_there_are_rounds_enough_for_an_interval_however_little_time_there_is():
    assert len(measure(at(rounds=None, precision=1e-9, max_time=1e-9)).record.rounds) == LEAST_ROUNDS


def test_so_many_rounds_as_are_asked_for():
    assert len(measure(at(rounds=3)).record.rounds) == 3


def test_out_of_memory_this_process_dies_first(tmp_path):
    points.die_first(tmp_path / "oom_score_adj")
    assert (tmp_path / "oom_score_adj").read_text() == "1000"  # the most that Linux takes
    points.die_first(tmp_path / "none" / "oom_score_adj")


def test_samples_a_batch_are_what_a_loop_says(monkeypatch):
    import toys

    monkeypatch.setattr(toys.Quadratic, "describe", lambda self: {"samples": 64 * len(self.losses)}, raising=False)
    assert measure(at()).samples == {"before": 64.0, "after": 64.0}


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ("toys:failing", "RuntimeError: out of something"),
        ("toys:no_variables", "factory 'toys:no_variables': variables of its NoVariables"),
    ],
)
def test_what_goes_wrong_is_a_result(after, says):
    found = measure(at(after=after))
    assert (found.ended, found.record) == ("crashed", None)
    assert found.why.startswith(says)
    assert len(found.why.splitlines()) == 1


def test_a_process_that_was_killed_has_no_record():
    found = Measured.died(at(), Death("timed out", "took longer", 3.0))
    assert (found.ended, found.why, found.record) == ("timed out", "took longer", None)


@pytest.mark.parametrize(("ended", "has"), [("measured", False), ("crashed", True)])
def test_only_what_was_measured_has_a_record(ended, has):
    with pytest.raises(ValueError, match="has a record"):
        Measured(point=at(), ended=ended, seconds=1.0, record=record() if has else None)


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(measured(at()).model_dump_json()[:-9])
    with pytest.raises(InvalidRecordError, match=r"x\.json: cannot be read"):
        Measured.read(path)


@pytest.fixture
def main(monkeypatch, tmp_path):
    monkeypatch.setattr(points, "die_with_parent", lambda: None)
    monkeypatch.setattr(points, "die_first", lambda: None)
    return lambda point: (points.main([point.model_dump_json(), str(tmp_path / "r.json")]), tmp_path / "r.json")


def test_the_process_leaves_its_result(main, monkeypatch):
    monkeypatch.setattr(points, "measure", lambda point, measurement, started: measured(point))
    code, path = main(at())
    assert code == 0
    assert Measured.read(path).point == at()
    assert json.loads(path.read_text())["ended"] == "measured"


def test_a_loop_that_is_not_to_be_had_is_no_result(main, capsys):
    code, path = main(at(after="toys:none"))
    assert (code, path.exists()) == (REFUSED, False)
    assert capsys.readouterr().out.startswith("error: factory 'toys:none': toys has no none")


def test_a_full_disk_is_no_result(main, monkeypatch, capsys):
    def full(path, text):
        raise UsageError("results folder: cannot be written (no space)")

    monkeypatch.setattr(points, "measure", lambda point, measurement, started: measured(point))
    monkeypatch.setattr(pool, "write_whole", full)
    assert main(at())[0] == REFUSED
    assert "no space" in capsys.readouterr().out
