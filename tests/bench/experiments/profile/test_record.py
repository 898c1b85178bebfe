import pytest
from traces import profile, profile_record

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments.profile.record import ProfileRecord


def test_there_and_back(tmp_path):
    record = profile_record()
    path = record.write_as(tmp_path / "new" / "profile.json")
    assert ProfileRecord.read(path) == record


def test_what_is_no_record(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        ProfileRecord.read(tmp_path / "none.json")
    path = tmp_path / "half.json"
    path.write_text(profile_record().model_dump_json()[:-20])
    with pytest.raises(InvalidRecordError, match="no whole profile record"):
        ProfileRecord.read(path)


def test_it_is_of_both_arms():
    with pytest.raises(ValueError, match="a profile is of before and after, not of before"):
        profile_record(arms={"before": profile()})
