import sys
import types

import pytest

from loop_bench import collectives


class Strategy:
    _collective_key_base = 5


@pytest.fixture
def tensorflow(monkeypatch):
    """A module in TensorFlow's place, with one strategy of the two."""
    there = types.SimpleNamespace(distribute=types.SimpleNamespace(MirroredStrategy=type("Mirrored", (Strategy,), {})))
    monkeypatch.setitem(sys.modules, "tensorflow", there)
    return there


def test_each_loop_counts_from_where_no_other_has_begun(tensorflow):
    first, second = (tensorflow.distribute.MirroredStrategy._collective_key_base for _ in map(begun, range(2)))
    assert 5 < first < second
    assert second - first >= 100  # groups of devices of one loop
    assert Strategy._collective_key_base == 5


def begun(_):
    collectives.begin_numbering()


def test_without_tensorflow_or_the_attribute_nothing_is_done(tensorflow, monkeypatch):
    del tensorflow.distribute.MirroredStrategy
    collectives.begin_numbering()
    monkeypatch.delitem(sys.modules, "tensorflow")
    collectives.begin_numbering()
    assert "tensorflow" not in sys.modules
