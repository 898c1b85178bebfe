import pytest
from convergences import convergence_record, course, plan
from records import ENVIRONMENT
from trials import Door, died

from loop_bench.errors import UsageError
from loop_bench.experiments.convergence import experiment
from loop_bench.experiments.convergence.experiment import converge
from loop_bench.experiments.convergence.plan import ConvergencePlan, Question, TrainedLoop

TITLES = [f"{loop}, seed {seed}" for seed in (0, 1, 2) for loop in ("before", "after", "after, fixed")]


@pytest.fixture
def door(monkeypatch):
    monkeypatch.setattr(experiment, "environment", lambda: ENVIRONMENT)
    return Door(lambda trial: course(trial.loop, trial.seed))


def test_all_that_is_planned_is_tried(door, tmp_path):
    told = []
    record = converge(plan(), tmp_path, 3, told.append, door)
    assert told == door.titles == TITLES
    assert door.workers == 3
    assert record.courses == convergence_record().courses
    assert record.environment == ENVIRONMENT


def test_a_run_that_dies_is_a_result_and_is_tried_again_with_more_time_only(door, tmp_path):
    whole = door.answer
    door.answer = lambda trial: died(trial, "timed out") if trial.title == "after, seed 1" else whole(trial)
    record = converge(plan(), tmp_path, 1, run=door)
    assert [run.ended for run in record.courses["after"]] == ["whole", "timed out", "whole"]
    door.answer = whole
    for limit, again in ((plan().time_limit, []), (2 * plan().time_limit, ["after, seed 1"])):
        door.asked.clear()
        converge(plan(time_limit=limit), tmp_path, 1, run=door)
        assert door.titles == again


def test_runs_of_another_machine_are_refused(door, tmp_path, monkeypatch):
    converge(plan(), tmp_path, 1, run=door)
    monkeypatch.setattr(experiment, "environment", lambda: {**ENVIRONMENT, "cpu": "another"})
    with pytest.raises(UsageError, match="were made with another cpu"):
        converge(plan(), tmp_path, 1, run=door)


@pytest.mark.slow
def test_from_end_to_end_in_processes_of_their_own(tmp_path):
    def loop(**options):
        return TrainedLoop(factory="toys:rated", options=options)

    small = ConvergencePlan(
        loops={"before": loop(), "after": loop(dies_after=3)},
        pairs=(Question(changed="after", reference="before", question="?"),),
        preset="any",
        seeds=(0,),
        epochs=2,
        time_limit=120.0,
    )
    record = converge(small, tmp_path, 2)
    (before,), (after,) = record.courses.values()
    assert (before.flaw, [moment.batch for moment in before.moments]) == ("", [0, 3, 6])
    assert after.flaw.startswith(
        "crashed: loop 'toys:rated' (after): run() failed with ArithmeticError: loss is NaN, at "
    )
    assert [moment.batch for moment in after.moments] == [0, 3]
    assert before.start == after.start
