import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.loops import metrics
from loop_bench.loops.metrics import Metrics


@pytest.fixture
def kept():
    return Metrics(ValueError)


def test_all_that_is_on_the_device_is_read_once_and_together(kept, monkeypatch):
    monkeypatch.setattr(metrics, "_TOGETHER", 3)
    values = np.arange(8.0)
    with hostsync.record() as log:
        for value in values:
            kept.add({"a": tf.constant(value, tf.float32), "b": tf.constant(int(value)), "c": -value})
        assert len(log.reads) == 0
        found = [kept.history() for _ in range(2)]
        assert len(log.reads) == 1
        kept.add({"a": tf.constant(8.0), "b": tf.constant(8), "c": -8.0})
        found.append(kept.history())
    assert [read.nbytes for read in log.reads] == [2 * 8 * 8, 2 * 8]
    for each, count in zip(found, (8, 8, 9), strict=True):
        for name, sign in (("a", 1), ("b", 1), ("c", -1)):
            assert each[name].tolist() == [sign * value for value in range(count)]


def test_a_variable_is_kept_as_it_is_in_its_batch(kept):
    total = tf.Variable(0.0)
    for _ in range(3):
        kept.add(total.assign_add(1.0))
        kept.history()
    kept.add(total)
    total.assign(9.0)
    assert kept.history()["loss"].tolist() == [1, 2, 3, 3]


def test_a_dict_that_is_changed_in_place_is_kept_as_it_was(kept):
    logs = {}
    for value in (1.0, 2.0):
        logs["loss"] = value
        kept.add(logs)
    assert kept.history()["loss"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (lambda: tf.ones([4]), r"'loss' of shape \(4,\), but must return one number: use tf.reduce_mean"),
        (lambda: np.ones([1]), "'loss' as ndarray of float64, but must return a number"),
        (lambda: tf.constant("a"), "'loss' as EagerTensor of string"),
        (lambda: {"a": {"b": "text"}}, "'a/b' as str"),
        (lambda: {"a": None}, "'a' as NoneType"),
        (lambda: tf.constant(1j), "'loss' as EagerTensor of complex128"),
    ],
)
def test_metrics_that_are_no_numbers_raise(kept, given, error):
    with pytest.raises(ValueError, match=error):
        kept.add(given())


@pytest.mark.parametrize(
    ("first", "then", "error"),
    [
        ({"a": 1.0}, {"b": 1.0}, "b, but returned a in the batches before"),
        ({"a": 1.0}, None, "nothing, but returned a in"),
        (None, 1.0, "loss, but returned nothing in"),
    ],
)
def test_metrics_with_changed_names_raise(kept, first, then, error):
    kept.add(first)
    with pytest.raises(ValueError, match=error):
        kept.add(then)
