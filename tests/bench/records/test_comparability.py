import pytest
from records import arm, record

from bench.records import comparability


def test_like_records_differ_in_nothing():
    assert comparability.differences(record(), record(seed=3, minutes=5)) == []
    assert comparability.arms(record(), record()) == []
    assert comparability.same_machine(record(), record())


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
        ({"environment": {"python": "3.13.1"}}, "Python 3.13, there 3.11"),
        ({"settings": {"options": {"script": "x.csv"}}}, "options script=x.csv, there none"),
        ({"settings": {"batches": 5}}, "batches in a block 5, there 10"),
    ],
)
def test_what_matters_is_named(changes, says):
    assert comparability.differences(record(**changes), record()) == [says]


@pytest.mark.parametrize(
    "changes",
    [{"environment": {"python": "3.11.9", "commit": "another", "dirty": True}}, {"settings": {"seed": 7, "rounds": 3}}],
)
def test_what_does_not_matter_is_not(changes):
    assert comparability.differences(record(**changes), record()) == []


def test_software_is_not_the_machine():
    newer = record(environment={"versions": {"tensorflow": "3", "keras": "4"}})
    assert comparability.same_machine(newer, record())
    assert not comparability.same_machine(record(environment={"cores": 96}), record())


def test_another_loop_is_another_arm():
    assert comparability.arms(record(arms={"before": arm("x:y")}), record()) == ["before is x:y, there a:b"]
