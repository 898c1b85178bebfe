import pytest
from traces import SECOND, op, profile, profile_record

from bench.errors import InvalidRecordError, UsageError
from bench.experiments.profile.record import ProfileRecord


def test_a_summary_of_a_stretch():
    found = profile()
    assert (found.device, found.stretch, found.busy, found.busy_share) == ("CPU", 2.0, 1.0, 0.5)
    assert found.gaps.model_dump() == {"count": 1, "longest": 1.0, "seconds": 1.0}
    assert found.overlap == 1.5
    assert found.overhead == pytest.approx(2 / 1.25 - 1)
    assert found.cores == 2.0


def test_ops_together_by_name_and_by_kind_with_most_first():
    runs = [op(0, 1), op(2, 7, name="MatMul.1", kind="MatMul"), op(8, 11, name="MatMul.2", kind="MatMul"), op(12, 13)]
    found = profile(
        ops=[op(each.begin * SECOND // 10, each.end * SECOND // 10, None, each.name, each.kind) for each in runs]
    )
    assert [(each.name, each.kind, each.count) for each in found.ops] == [
        ("MatMul.1", "MatMul", 1),
        ("MatMul.2", "MatMul", 1),
        ("a", "a", 2),
    ]
    assert [(each.name, each.kind, each.count) for each in found.kinds] == [("MatMul", "MatMul", 2), ("a", "a", 2)]
    assert [each.apportioned for each in found.kinds] == pytest.approx([0.8, 0.2])
    assert [each.in_flight for each in found.ops] == pytest.approx([0.5, 0.3, 0.2])


def test_an_idle_device_has_no_overlap():
    found = profile(ops=[])
    assert (found.busy, found.overlap, found.gaps.count, found.ops, found.kinds) == (0.0, None, 1, (), ())


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
