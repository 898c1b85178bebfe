import json

import pytest
from ladders import finding, ladder_record, turns

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments.ladder.record import SCHEMA, LadderRecord, Turn


def test_comes_back_from_its_file(tmp_path):
    record = ladder_record(stopped={"everything": "crashed"}, problems={"everything": ("no weight has moved",)})
    path = record.write_as(tmp_path / "new" / "ladder.json")
    assert LadderRecord.read(path) == record
    json.loads(path.read_text(), parse_constant=pytest.fail)
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[:500], "no whole ladder record (the file: Invalid JSON"),
        (lambda text: text.replace(f'"schema_version": {SCHEMA}', '"schema_version": 1'), "is of schema 1"),
        (
            lambda text: text.replace('"kind": "ladder"', '"kind": "run"'),
            "is of kind 'run', but 'ladder' is needed here",
        ),
        (
            lambda text: text.replace('"group": "step"', '"group": "leap"'),
            "no whole ladder record (ladder.rungs.1.group",
        ),
    ],
)
def test_what_is_no_whole_record_is_one_line(tmp_path, damage, says):
    path = ladder_record().write_as(tmp_path / "ladder.json")
    path.write_text(damage(path.read_text()))
    with pytest.raises(InvalidRecordError) as caught:
        LadderRecord.read(path)
    assert str(caught.value).startswith(f"record {path}: {says}")
    assert "\n" not in str(caught.value)


def test_a_missing_record_is_told_apart(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json: cannot be read \(No such file") as caught:
        LadderRecord.read(tmp_path / "none.json")
    assert not isinstance(caught.value, InvalidRecordError)


def test_is_of_its_rungs():
    with pytest.raises(ValueError, match="findings must be of"):
        ladder_record(findings={"another": finding()})
    with pytest.raises(ValueError, match="unknown rungs: another"):
        ladder_record(rounds=(*turns(), Turn(order=("another",), seconds={"another": 1.0})))
    with pytest.raises(ValueError, match="has no times of"):
        Turn(order=("a", "b"), seconds={"a": 1.0})
