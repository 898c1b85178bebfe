import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.errors import UsageError
from loop_bench.multiworker.task import CONTROL, VARIABLE, Task, task

TWO = ["10.0.0.1:2222", "10.0.0.2:2222"]


def of(cluster, kind="worker", index=0, **more):
    return task({VARIABLE: json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}), **more})


@pytest.mark.parametrize("text", [None, "", "{}", '{"cluster": {}, "task": {}}'])
def test_without_a_cluster_a_process_is_alone(text):
    assert task({} if text is None else {VARIABLE: text}) is None


@pytest.mark.parametrize(
    ("cluster", "kind"),
    [
        ({"worker": TWO[:1]}, "worker"),
        ({"master": TWO[:1]}, "master"),
        ({"worker": TWO[:1], "evaluator": TWO[1:]}, "worker"),
        ({"worker": TWO, "evaluator": TWO}, "evaluator"),
    ],
)
def test_a_process_that_trains_alone_has_no_task(cluster, kind):
    assert of(cluster, kind) is None


def test_an_evaluator_is_not_of_those_that_train():
    assert of({"worker": TWO, "evaluator": TWO}).addresses == tuple(TWO)


def test_the_first_worker_is_the_chief():
    chief, other = (of({"worker": TWO}, index=index) for index in range(2))
    assert chief == Task(0, tuple(TWO), ("10.0.0.1", 3222))
    assert chief.is_chief
    assert (other.index, other.is_chief, other.control) == (1, False, ("10.0.0.1", 3222))
    assert (chief.title, other.title) == ("the chief (10.0.0.1:2222)", "worker 1 (10.0.0.2:2222)")


def test_a_chief_of_its_own_comes_before_the_workers():
    cluster = {"worker": TWO[1:], "chief": TWO[:1]}
    assert of(cluster, "chief") == Task(0, tuple(TWO), ("10.0.0.1", 3222))
    assert of(cluster, "worker").index == 1


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "says"),
    [
        ({"worker": TWO, "ps": TWO}, "worker", 0, "has the job ps"),
        ({"worker": TWO}, "worker", 2, "its task worker 2 is not in its cluster"),
        ({"worker": TWO}, "chief", 0, "its task chief 0 is not in its cluster"),
        ({"worker": ["somewhere", TWO[0]]}, "worker", 0, "TF_CONFIG 'somewhere': must be HOST:PORT"),
        ({"worker": TWO}, "worker", "first", "is malformed, see TensorFlow's guide"),
        ({"worker": TWO}, "worker", float("inf"), "is malformed, see TensorFlow's guide"),
        ({"worker": TWO}, [], 0, "its task [] 0 is not in its cluster"),
        (["worker"], "worker", 0, "is malformed, see TensorFlow's guide"),
    ],
)
def test_what_cannot_be_is_one_line(cluster, kind, index, says):
    with pytest.raises(UsageError) as caught:
        of(cluster, kind, index)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_task_or_refused(text):
    try:
        found = task({VARIABLE: text})
    except UsageError:
        return
    assert found is None


@given(st.integers(1, 65535))
def test_the_port_of_the_chief_is_one_that_there_is(port):
    _, control = of({"worker": [f"host:{port}", "other:1"]}).control
    assert 0 < control <= 65535
    assert abs(control - port) == 1000


def test_the_place_to_meet_can_be_named():
    assert of({"worker": TWO}, **{CONTROL: "[::1]:99"}).control == ("::1", 99)
    with pytest.raises(UsageError, match=r"LOOP_BENCH_CONTROL 'here': must be HOST:PORT"):
        of({"worker": TWO}, **{CONTROL: "here"})
