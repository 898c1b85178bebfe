import pytest
from convergences import convergence_record, course, plan
from trials import found

from loop_bench.experiments.convergence.record import ConvergenceRecord


def test_goes_there_and_back(tmp_path):
    record = convergence_record()
    path = record.write_as(tmp_path / "convergence.json")
    assert ConvergenceRecord.read(path) == record
    assert record.kind == "convergence"


def test_has_every_run_of_its_plan_and_no_other():
    for courses in ({}, {**convergence_record().courses, "after": (course("after", 7),)}):
        with pytest.raises(ValueError, match="one course for each loop and seed"):
            convergence_record(courses=courses)


def test_is_made_of_what_was_tried():
    made = plan(seeds=(5, 6))
    results = {
        trial.key: found(trial, course(trial.loop, trial.seed), seconds=2.0) for trial in reversed(made.trials())
    }
    record = ConvergenceRecord.of(made, results, {"cpu": "x"})
    assert record.seconds == 12.0
    assert record.courses["after, fixed"] == (course("after, fixed", 5), course("after, fixed", 6))
