import pytest
from convergences import course, plan

from bench.experiments.convergence import trial as trials
from bench.experiments.convergence.trial import Trial, Tried
from bench.jobs.pool import REFUSED, Death


def trial(**changes):
    values = {"loop": "after", "factory": "toys:rated", "preset": "any", "seed": 2, "epochs": 2, "time_limit": 60.0}
    return Trial(**{**values, **changes})


def test_a_name_says_all_that_makes_a_difference():
    names = {
        each.job.name
        for each in (
            trial(options={"a": 1, "b": 2}),
            trial(options={"b": 2, "a": 1}, time_limit=9.0),  # the same
            trial(options={"a": 1}),
            trial(seed=3),
            trial(epochs=3),
            trial(every=3),
        )
    }
    assert len(names) == 5


def test_a_job_is_the_trial():
    job = plan().trials()[-1].job
    assert job.arguments[:2] == ("-m", "bench.experiments.convergence.trial")
    assert Trial.model_validate_json(job.arguments[2]) == plan().trials()[-1]
    assert (job.title, job.time_limit) == ("after, fixed, seed 2", 3600.0)


def test_a_process_that_was_killed_has_seen_nothing():
    found = Tried.died(trial(), Death("timed out", "took longer", 3.0))
    assert (found.course.seed, found.course.flaw, found.seconds) == (2, "timed out: took longer", 3.0)


@pytest.fixture
def main(monkeypatch, tmp_path):
    monkeypatch.setattr(trials, "die_with_parent", lambda: None)
    return lambda what: (trials.main([what.model_dump_json(), str(tmp_path / "r.json")]), tmp_path / "r.json")


def test_the_process_leaves_its_result(main):
    code, path = main(trial())
    found = Tried.read(path)
    assert (code, found.trial, found.course.ended) == (0, trial(), "whole")
    assert [moment.batch for moment in found.course.moments] == [0, 3, 6]
    assert found.seconds > 0


def test_a_loop_that_is_not_to_be_had_is_no_result(main, capsys):
    code, path = main(trial(factory="toys:plain"))
    assert (code, path.exists()) == (REFUSED, False)
    assert "error: Quadratic has no evaluate()" in capsys.readouterr().out


def test_goes_there_and_back(tmp_path):
    found = Tried(trial=trial(), course=course("after"), seconds=1.0)
    (tmp_path / "x.json").write_text(found.model_dump_json())
    assert Tried.read(tmp_path / "x.json") == found
