import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.variables import (
    LEFT_ALONE,
    VariableReader,
    apart,
    distance,
    drifted,
    held,
    is_mirrored,
    is_on_a_parameter_server,
    replicas,
    variable_name,
)


class Distributed:
    """A variable on several devices, as tf.distribute has them; real ones are in distributed_cases.py."""

    def __init__(self, *values, device="/job:localhost/replica:0/task:0/device:CPU:0"):
        self.values = tuple(tf.Variable(value) for value in values)
        self.device = device


def test_the_name_is_that_of_tensorflow_or_the_path_of_keras():
    assert variable_name(tf.Variable(1.0, name="generator/weight")) == "generator/weight:0"
    assert variable_name(keras.Variable(1.0, name="weight")) == "weight"


def test_variables_are_read_as_they_are_now_and_copied():
    plain, of_keras = tf.Variable([1.0, 2.0]), keras.Variable([[3]], dtype="int64")
    read = VariableReader()
    first = read([plain, of_keras])
    plain.assign([5.0, 6.0])
    second = read([plain, of_keras])
    assert [value.tolist() for value in first] == [[1.0, 2.0], [[3]]]
    assert [value.tolist() for value in second] == [[5.0, 6.0], [[3]]]
    second[0][:] = 0.0
    assert plain.numpy().tolist() == [5.0, 6.0]
    assert [value.tolist() for value in read([of_keras])] == [[[3]]]
    assert [value.tolist() for value in read([of_keras, tf.Variable(True)])] == [[[3]], True]


@given(st.lists(st.tuples(*[st.floats(-(2.0**100), 2.0**100, width=32)] * 2), max_size=9))
def test_a_distance_is_euclidean(pairs):
    one, other = np.array(pairs, np.float32).reshape(-1, 2).T
    assert distance(one, other) == pytest.approx(np.linalg.norm(one.astype(float) - other.astype(float)), rel=1e-12)


@pytest.mark.parametrize(("value", "expected"), [(np.inf, np.inf), (np.nan, np.nan)])
def test_a_distance_to_what_is_not_finite_is_not(value, expected):
    np.testing.assert_equal(distance(np.array([value]), np.array([1.0])), expected)
    assert distance(np.array([3, 4]), np.array([0, 0])) == 5.0


@pytest.mark.parametrize("variable", [tf.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0])])
def test_what_is_on_one_device_is_its_own_replica(variable):
    assert replicas(variable) == (variable,)
    assert held(variable).tolist() == [1.0, 2.0]
    assert not is_mirrored(variable, held(variable))
    assert not is_on_a_parameter_server(variable)


def test_every_replica_is_read():
    of_two = Distributed([1.0, 2.0], [1.0, 3.0])
    assert held(of_two).tolist() == [[1.0, 2.0], [1.0, 3.0]]
    read = VariableReader(every_replica=True)
    assert [value.tolist() for value in read([of_two, tf.Variable(5)])] == [[[1.0, 2.0], [1.0, 3.0]], 5]


def test_mirrored_are_replicas_that_hold_the_same_bits():
    for values, expected in {((1.0, 2.0), (1.0, 2.0)): True, ((1.0, 2.0), (1.0, 2.5)): False}.items():
        variable = Distributed(*values)
        assert is_mirrored(variable, held(variable)) == expected
    zeros = Distributed([0.0], [-0.0])
    assert not is_mirrored(zeros, held(zeros))


def test_a_parameter_server_is_recognised_by_its_job():
    assert is_on_a_parameter_server(Distributed(1.0, device="/job:ps/replica:0/task:0/device:CPU:0"))
    assert not is_on_a_parameter_server(Distributed(1.0, device="/job:worker/replica:0/task:0/device:CPU:0"))


finite = st.floats(-1e3, 1e3, width=32)


@given(st.lists(finite, min_size=1, max_size=5), st.integers(2, 4))
def test_equal_replicas_have_distance_zero(value, count):
    before, now = (np.array([value] * count, np.float32) + add for add in (0, 1))
    assert apart(now, before) == 0
    assert drifted({"w": now}, {"w": before}, ["w"]) == {}


def test_the_distance_of_replicas_is_relative_to_the_way_of_the_first():
    before = np.zeros([3, 2], np.float32)
    now = np.float32([[3.0, 4.0], [3.0, 4.0], [3.0, 4.5]])
    assert apart(now, before) == pytest.approx(0.1)
    assert apart(now, now) == np.inf  # it has not moved
    assert apart(np.float32([[3.0, 4.0], [3.0, np.nan]]), before[:2]) == np.inf
    assert apart(np.float32([[np.nan], [np.nan]]), before[:2, :1]) == 0


def test_drifted_replicas_were_equal_and_differ_by_more_than_rounding():
    before = {name: np.zeros([2, 1], np.float32) for name in "abc"}
    now = {"a": np.float32([[1.0], [1.0 + 2 * LEFT_ALONE]]), "b": np.float32([[1.0], [1.0 + LEFT_ALONE / 2]])}
    now["c"] = np.float32([[1.0], [2.0]])
    assert [*drifted(now, before, ["a", "b"])] == ["a"]
