import pytest
from records import arm, record

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.records import references


def test_accepted_is_found_again(tmp_path):
    path = references.accept(record(), tmp_path)
    assert path.parent == tmp_path / "a-cpu-2-cores"
    assert references.find(record(seed=5), tmp_path) == references.find(record(seed=5), path) == record()


def test_one_reference_for_each_kind_of_run(tmp_path):
    kinds = [
        {},
        {"settings": {"preset": "paper"}},
        {"settings": {"options": {"script": "x.csv"}}},
        {"settings": {"before": "x:y"}, "arms": {"before": arm("x:y")}},
        {"environment": {"gpus": ["NVIDIA H100 80GB HBM3"]}},
    ]
    paths = {references.accept(record(**kind), tmp_path) for kind in kinds}
    assert len(paths) == len(kinds)
    assert (tmp_path / "nvidia-h100-80gb-hbm3").is_dir()
    for kind in kinds:
        assert references.find(record(**kind, seed=1), tmp_path) == record(**kind)


def test_an_unreadable_reference_of_others_is_no_matter(tmp_path):
    references.accept(record(), tmp_path)
    (tmp_path / "0-another").mkdir()
    (tmp_path / "0-another" / "reference-old.json").write_text('{"schema_version": 1}')
    assert references.find(record(), tmp_path) == record()
    with pytest.raises(InvalidRecordError, match="is of schema 1"):
        references.find(record(environment={"cores": 4}), tmp_path / "0-another")


def test_accepting_again_replaces(tmp_path):
    references.accept(record(), tmp_path)
    path = references.accept(record(minutes=9), tmp_path)
    assert [*tmp_path.rglob("*.json")] == [path]
    assert references.find(record(), tmp_path) == record(minutes=9)


def test_no_suitable_reference_says_what_differs(tmp_path):
    references.accept(record(), tmp_path)
    with pytest.raises(
        InvalidRecordError, match=r"the folder has no comparable reference .*CPU cores 4, there 2.*bench accept"
    ):
        references.find(record(environment={"cores": 4}), tmp_path)


def test_folder_without_references(tmp_path):
    with pytest.raises(InvalidRecordError, match=r"the folder has no comparable reference; loop-bench accept"):
        references.find(record(), tmp_path)


def test_missing_reference(tmp_path):
    with pytest.raises(UsageError, match="cannot be read") as caught:
        references.find(record(), tmp_path / "none.json")
    assert not isinstance(caught.value, InvalidRecordError)


def test_record_of_no_known_machine():
    with pytest.raises(UsageError, match="does not describe the machine"):
        references.machine_name(record().model_copy(update={"environment": {}}))
