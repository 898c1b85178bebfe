import pytest
from records import ENVIRONMENT
from sweeps import died, measured, sweep

from bench.errors import UsageError
from bench.experiments.sweep import running
from bench.experiments.sweep.trial import Measured
from bench.jobs.pool import Death, result


@pytest.fixture
def pretended(monkeypatch):
    """Has no process run: each job's result is there at once, but for those that die; gives how they were asked for."""
    asked = {"titles": [], "dying": (), "interrupted_after": None}

    def run(jobs, folder, workers, died, tell, environment, preload):
        asked.update(workers=workers, environment=environment)
        points = {point.name: point for point in sweep().distinct().values()}
        for job in jobs:
            path = result(folder, job)
            if path.exists():
                continue
            if len(asked["titles"]) == asked["interrupted_after"]:
                raise KeyboardInterrupt
            dead = job.title in asked["dying"]
            text = died(job, Death("timed out", "took too long", 1.0)) if dead else None
            path.write_text(text or measured(points[job.name]).model_dump_json())
            asked["titles"].append(job.title)
            tell(job)

    monkeypatch.setattr(running.jobs, "run", run)
    monkeypatch.setattr(running, "environment", lambda: asked.get("environment_is", ENVIRONMENT))
    return asked


TITLES = ["batch 16", "batch 64 = tokens 20", "batch 256", "tokens 40"]


def test_each_point_is_measured_once_and_none_beside_another(pretended, tmp_path):
    told = []
    record = running.run(sweep(), tmp_path, told.append)
    assert told == pretended["titles"] == TITLES
    assert pretended["workers"] == 1
    assert pretended["environment"]["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert list(record.measured) == list(sweep().distinct())
    assert record.environment == ENVIRONMENT


def test_a_point_that_dies_does_not_end_the_sweep(pretended, tmp_path):
    pretended["dying"] = ("batch 256",)
    record = running.run(sweep(), tmp_path)
    assert [each.ended for each in record.measured.values()] == ["measured", "measured", "timed out", "measured"]


def test_the_same_command_goes_on_where_it_was_interrupted(pretended, tmp_path):
    pretended["interrupted_after"] = 2
    with pytest.raises(KeyboardInterrupt):
        running.run(sweep(), tmp_path)
    told, pretended["titles"], pretended["interrupted_after"] = [], [], None
    running.run(sweep(), tmp_path, told.append)
    assert pretended["titles"] == TITLES[2:]
    assert told == TITLES


def test_points_of_another_machine_are_refused(pretended, tmp_path):
    running.run(sweep(), tmp_path)
    pretended["environment_is"] = {**ENVIRONMENT, "cpu": "another"}
    with pytest.raises(UsageError, match="were made with another cpu"):
        running.run(sweep(), tmp_path)


def test_the_points_of_one_that_is_over_go_and_the_next_one_starts_anew(pretended, tmp_path):
    running.run(sweep(), tmp_path)
    assert (tmp_path / "points").is_dir()
    (tmp_path / "sweep.json").write_text("{}")
    running.forget(tmp_path)
    running.forget(tmp_path)  # of which nothing is left
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def test_a_point_goes_there_and_back(tmp_path):
    point, *_ = sweep().distinct().values()
    (tmp_path / "x.json").write_text(died(point).model_dump_json())
    assert Measured.read(tmp_path / "x.json") == died(point)
