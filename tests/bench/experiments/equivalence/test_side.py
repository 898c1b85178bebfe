import numpy as np
import pytest
import tensorflow as tf
import toys

from loop_bench.experiments.equivalence.side import Side
from loop_bench.failure import FactoryError


class Mixed(toys.Quadratic):
    """Has variables of several types, of TensorFlow and of Keras, and says what it has drawn."""

    def __init__(self):
        super().__init__()
        self.half = tf.Variable(np.ones([2, 3]), dtype=tf.bfloat16, name="half")
        self.flag = tf.Variable(True, trainable=False, name="flag")
        self.kept = tf.keras.Variable(np.zeros(0), name="kept", dtype="float16")

    def lines(self):
        return np.arange(2 * len(self.losses)).reshape(-1, 2)

    @property
    def variables(self):
        return [self.half, self.weight, self.flag, self.kept]


@pytest.fixture
def side():
    return Side(Mixed())


def test_it_is_built_as_was_asked():
    side = Side.made("toys:rated", "any", 7, {"says": "score ↑"}, "before")
    side.run(1)
    assert Side.made("toys:rated", "any", 7, {}).values([0])[0].tolist() == pytest.approx([1.07] * 4)
    assert side._loop.own.says == "score ↑"
    assert [*side.history()] == ["loss"]


def test_a_factory_that_fails_names_its_role():
    with pytest.raises(FactoryError, match=r"factory 'toys:broken' \(before\): failed with KeyError"):
        Side.made("toys:broken", "any", 0, {}, "before")


def test_variables_are_said_in_the_loops_order(side):
    names = [name for name, *_ in side.variables()]
    assert [name.removesuffix(":0") for name in names] == ["half", "generator/weight", "flag", "kept"]
    assert [rest for _, *rest in side.variables()] == [
        [(2, 3), "bfloat16", True], [(4,), "float32", True], [(), "bool", False], [(0,), "float16", True],
    ]  # fmt: skip


def test_values_are_those_of_the_places_that_are_asked_for(side):
    flag, half, kept = side.values([2, 0, 3])
    assert (flag.shape, bool(flag)) == ((), True)
    assert (half.shape, half.dtype.name) == ((2, 3), "bfloat16")
    assert (kept.shape, kept.dtype) == ((0,), np.float16)
    half[...] = 5  # a copy
    assert side.values([0])[0].astype(float).tolist() == [[1.0] * 3] * 2


def test_what_is_assigned_is_what_it_holds(side):
    found = side.values([0, 1, 2, 3])
    side.run(2)
    assert side.values([1])[0].tolist() != found[1].tolist()
    side.assign([2, 1], [np.array(False), np.full(4, np.nan, np.float32)])
    assert not side.values([2])[0]
    assert np.isnan(side.values([1])[0]).all()
    side.assign([0, 1, 2, 3], found)
    assert [each.tolist() for each in side.values([0, 1, 2, 3])] == [each.tolist() for each in found]
    with pytest.raises(ValueError, match="zip"):
        side.assign([0, 1], found[:1])


def test_what_a_loop_has_drawn_is_said_if_it_says_it(side):
    assert side.lines() is None  # nothing yet
    side.run(2)
    assert side.lines().tolist() == [[0, 1], [2, 3]]
    assert side.history()["loss"].shape == (2,)
    assert Side(toys.Quadratic()).lines() is None
