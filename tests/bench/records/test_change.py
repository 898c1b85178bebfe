import pytest
from records import arm, record

from loop_bench.errors import InvalidRecordError
from loop_bench.records import change
from loop_bench.records.change import Change


def of_kind(**changes):
    plain = {"family": 25, "model": 1, "vectors": ["avx2"], "virtual": True, "page_bytes": 4096,
             "huge_pages": "madvise", "vendor": "A maker",
             "allocator": "glibc 2.36", "allocator_settings": {}}  # fmt: skip
    return record(environment={"processor": {**plain, **changes}})


@pytest.mark.parametrize(
    "changes",
    [
        {"vendor": "Another"},
        {"model": 17},
        {"vectors": ["avx2", "avx512f"]},
        {"virtual": False},
        {"page_bytes": 65536},
        {"huge_pages": "always"},
        {"allocator": "glibc 2.39"},
        {"allocator_settings": {"MALLOC_ARENA_MAX": "1"}},
    ],
)
def test_a_cpu_of_the_same_name_may_be_another(changes):
    assert change.same_machine(of_kind(), of_kind())
    assert not change.same_machine(of_kind(), of_kind(**changes))
    (difference,) = change.differences(of_kind(**changes), of_kind())
    assert difference.startswith("kind of CPU ")


def test_like_records_differ_in_nothing():
    assert change.differences(record(), record(seed=3, minutes=5)) == []
    assert change.differing_loops(record(), record()) == []
    assert change.same_machine(record(), record())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"environment": {"gpus": ["NVIDIA H100", "NVIDIA H100"]}}, "GPU NVIDIA H100, NVIDIA H100, there none"),
        ({"environment": {"gpu_driver": "580.1"}}, "GPU driver 580.1, there unknown"),
        ({"environment": {"cuda_build": "13.0"}}, "CUDA 13.0, there 12.5.1"),
        ({"environment": {"cudnn_build": None}}, "cuDNN unknown, there 9"),
        ({"environment": {"cpu": "another"}}, "CPU another, there a CPU"),
        ({"environment": {"cores": 4}}, "CPU cores 4, there 2"),
        ({"environment": {"versions": {"tensorflow": "2.21.0", "keras": "4"}}}, "Keras 4, there 3.15.1"),
        (
            {"environment": {"versions": {"tensorflow": "2.21.0", "keras": "3.15.1", "tf_keras": "2"}}},
            "tf_keras 2, there none",
        ),
        ({"environment": {"python": "3.13.1"}}, "Python 3.13, there 3.11"),
        ({"settings": {"options": {"script": "x.csv"}}}, "options script=x.csv, there none"),
        ({"settings": {"batches": 5}}, "batches in a block 5, there 10"),
    ],
)
def test_what_matters_is_named(changes, says):
    assert change.differences(record(**changes), record()) == [says]


@pytest.mark.parametrize(
    "changes",
    [{"environment": {"python": "3.11.9", "commit": "another", "dirty": True}}, {"settings": {"seed": 7, "rounds": 3}}],
)
def test_what_does_not_matter_is_not(changes):
    assert change.differences(record(**changes), record()) == []


def test_software_is_not_the_machine():
    newer = record(environment={"versions": {"tensorflow": "3", "keras": "4"}})
    assert change.same_machine(newer, record())
    assert not change.same_machine(record(environment={"cores": 96}), record())


def test_another_loop_is_another_arm():
    assert change.differing_loops(record(arms={"before": arm("x:y")}), record()) == ["before is x:y, there a:b"]


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
