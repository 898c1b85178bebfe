import pytest
from convergences import convergence_record, course, plan
from records import ENVIRONMENT

from bench.errors import UsageError
from bench.experiments.convergence import running
from bench.experiments.convergence.plan import Loop, Pair, Plan
from bench.experiments.convergence.trial import Tried
from bench.jobs.pool import Death, result


@pytest.fixture
def pretended(monkeypatch):
    """Has no process run: each job's result is there at once, but for those that die; gives how they were asked for."""
    asked = {"titles": [], "dying": (), "interrupted_after": None}

    def run(jobs, folder, workers, died, tell, environment, preload, again):
        asked.update(workers=workers, environment=environment)
        trials = {trial.job.name: trial for trial in plan().trials()}
        for job in jobs:
            path = result(folder, job)
            if path.exists() and job.name not in again:
                continue
            if len(asked["titles"]) == asked["interrupted_after"]:
                raise KeyboardInterrupt
            trial = trials[job.name]
            tried = Tried(trial=trial, course=course(trial.loop, trial.seed), seconds=1.0)
            dead = job.title in asked["dying"]
            path.write_text(died(job, Death("timed out", "took too long", 1.0)) if dead else tried.model_dump_json())
            asked["titles"].append(job.title)
            tell(job)

    monkeypatch.setattr(running.jobs, "run", run)
    monkeypatch.setattr(running, "environment", lambda: asked.get("environment_is", ENVIRONMENT))
    return asked


TITLES = [f"{loop}, seed {seed}" for seed in (0, 1, 2) for loop in ("before", "after", "after, fixed")]


def test_all_that_is_planned_is_tried(pretended, tmp_path):
    told = []
    record = running.converge(plan(), tmp_path, 3, told.append)
    assert told == pretended["titles"] == TITLES
    assert pretended["workers"] == 3
    assert pretended["environment"]["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert record.courses == convergence_record().courses
    assert record.environment == ENVIRONMENT


def test_a_run_that_dies_is_a_result_and_is_tried_again_with_more_time_only(pretended, tmp_path):
    pretended["dying"] = ("after, seed 1",)
    record = running.converge(plan(), tmp_path, 1)
    assert [run.ended for run in record.courses["after"]] == ["whole", "timed out", "whole"]
    pretended["dying"] = ()
    for limit, again in ((plan().time_limit, []), (2 * plan().time_limit, ["after, seed 1"])):
        pretended["titles"] = []
        running.converge(plan(time_limit=limit), tmp_path, 1)
        assert pretended["titles"] == again


def test_the_same_command_goes_on_where_it_was_interrupted(pretended, tmp_path):
    pretended["interrupted_after"] = 4
    with pytest.raises(KeyboardInterrupt):
        running.converge(plan(), tmp_path, 1)
    told, pretended["titles"], pretended["interrupted_after"] = [], [], None
    running.converge(plan(), tmp_path, 1, told.append)
    assert pretended["titles"] == TITLES[4:]
    assert told == TITLES


def test_runs_of_another_machine_are_refused(pretended, tmp_path):
    running.converge(plan(), tmp_path, 1)
    pretended["environment_is"] = {**ENVIRONMENT, "cpu": "another"}
    with pytest.raises(UsageError, match="were made with another cpu"):
        running.converge(plan(), tmp_path, 1)


def test_from_end_to_end_in_processes_of_their_own(tmp_path):
    def loop(**options):
        return Loop(factory="toys:rated", options=options)

    small = Plan(
        loops={"before": loop(), "after": loop(dies_after=3)},
        pairs=(Pair(changed="after", reference="before", question="?"),),
        preset="any",
        seeds=(0,),
        epochs=2,
        time_limit=120.0,
    )
    record = running.converge(small, tmp_path, 2)
    (before,), (after,) = record.courses.values()
    assert (before.flaw, [moment.batch for moment in before.moments]) == ("", [0, 3, 6])
    assert (after.flaw, [moment.batch for moment in after.moments]) == (
        "crashed: ArithmeticError: loss is NaN",
        [0, 3],
    )
    assert before.start == after.start
