import pytest
from sweeps import sweep_record

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments.sweep.record import SCHEMA, SweepRecord


def test_there_and_back(tmp_path):
    record = sweep_record()
    path = record.write_as(tmp_path / "new" / "sweep.json")
    assert SweepRecord.read(path) == record
    assert len(next(iter(SweepRecord.read(path).measured.values())).record.rounds) == 20  # every raw sample


def test_every_point_has_a_result():
    record = sweep_record()
    with pytest.raises(ValueError, match="for each of its points"):
        SweepRecord(**{**dict(record), "measured": dict(list(record.measured.items())[1:])})


def test_what_cannot_be_read_is_said_in_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        SweepRecord.read(tmp_path / "none.json")
    (tmp_path / "half.json").write_text(
        sweep_record().model_dump_json().replace(f'"schema_version":{SCHEMA}', '"schema_version":0', 1)
    )
    with pytest.raises(InvalidRecordError, match=f"is of schema 0, and this version reads {SCHEMA}"):
        SweepRecord.read(tmp_path / "half.json")
