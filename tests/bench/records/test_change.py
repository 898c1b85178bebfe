import pytest
from records import arm, record

from bench.errors import InvalidRecordError
from bench.records.change import Change


def test_on_the_same_machine_times_and_ratio():
    found = Change.of(record(), record(after=0.033, seed=1))
    assert found.ms_per_batch["before"].holds(1.0)
    assert found.ms_per_batch["after"].holds(1.1)
    assert found.speed_up.holds(1 / 1.1)
    assert (found.differing, found.other_loops) == ((), ())


def test_on_different_machines_the_ratio_alone():
    found = Change.of(record(), record(before=0.012, after=0.006, environment={"gpus": ["NVIDIA H100"]}, seed=1))
    assert found.ms_per_batch == {}
    assert found.speed_up.holds(1.0)
    assert found.differing == ("GPU NVIDIA H100, there none",)


def test_other_loops_are_named():
    found = Change.of(record(), record(arms={"after": arm("x:y")}))
    assert found.other_loops == ("after is x:y, there c:d",)
    assert (found.ms_per_batch, found.speed_up) == ({}, None)


def test_other_work_has_no_common_ratio():
    found = Change.of(record(), record(settings={"preset": "paper"}))
    assert (found.speed_up, found.differing) == (None, ("preset paper, there tiny",))


def test_an_invalid_record_cannot_be_compared():
    with pytest.raises(InvalidRecordError, match="the second record is invalid: before: no weight has moved"):
        Change.of(record(), record(problems=("before: no weight has moved",)))
