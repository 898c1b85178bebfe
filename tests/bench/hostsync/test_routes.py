"""Runs each planted line while recording; see planted_reads.py."""

import linecache

import keras
import numpy as np
import pandas as pd
import planted_reads as planted
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.hostsync.tensorflow_private import EagerTensor

# NumPy asks for __array__(copy=False), which TensorFlow's variables do not know.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def no_seed_is_left():
    """Resets the global seed, which one of the lines sets to a tensor that no graph could use."""
    yield
    tf.random.set_seed(None)


def source(line):
    return linecache.getline(planted.__file__, line.__code__.co_firstlineno).strip().rstrip(",")


def at_line(lines):
    return [pytest.param(*each, id=source(each[-1]), marks=marks(each[-1])) for each in lines]


def marks(line):
    without_dlpack = "np.from_dlpack" in source(line) and not hasattr(EagerTensor, "__dlpack__")
    why = f"TensorFlow {tf.__version__}: tensors have __dlpack__ since 2.20"
    return pytest.mark.skip(reason=why) if without_dlpack else ()


def record(line):
    line()  # what is made at the first use is no read of the program
    with hostsync.record() as log:
        line()
    return log


def reads(line):
    log = record(line)
    where = {(read.file, read.line) for read in log.reads}
    assert where <= {(planted.__file__, line.__code__.co_firstlineno)}
    return [(read.route, read.nbytes) for read in log.reads]


def test_there_are_many():
    assert len({source(line) for *_, line in planted.READS}) == len(planted.READS) >= 40


@pytest.mark.parametrize(("route", "nbytes", "line"), at_line(planted.READS))
def test_each_read_is_counted_once_at_its_line(route, nbytes, line):
    assert reads(line) == [(route, nbytes)]


@pytest.mark.parametrize(("expected", "line"), at_line(planted.SEVERAL))
def test_several_reads_are_as_many(expected, line):
    assert reads(line) == expected


@pytest.mark.parametrize("line", at_line([(line,) for line in planted.NO_READS]))
def test_nothing_is_counted_where_nothing_is_read(line):
    assert reads(line) == []


@pytest.mark.parametrize(("kinds", "line"), at_line(planted.UNSEEN))
def test_what_cannot_be_seen_is_known(kinds, line):
    log = record(line)
    assert log.reads == []
    assert [op.kind for op in log.host_ops] == (kinds.split(", ") if kinds else [])
    # in_host_memory makes its op itself.
    assert {op.file for op in log.host_ops} <= {planted.__file__}
    assert {op.line for op in log.host_ops if op.kind != "placed on the CPU"} <= {line.__code__.co_firstlineno}


@pytest.mark.parametrize(("route", "nbytes", "line"), at_line(planted.READS))
def test_results_are_the_same(route, nbytes, line):
    expected = line()
    with hostsync.record():
        found = line()
    assert type(found) is type(expected)
    if isinstance(expected, tf.Tensor | pd.Series):
        found, expected = found.numpy() if hasattr(found, "numpy") else found.to_numpy(), np.asarray(expected)
    if isinstance(expected, np.ndarray | np.generic | float | int | complex | str | bytes | list | tuple | range):
        found, expected = np.asarray(found), np.asarray(expected)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist() if found.dtype == object else found.tobytes() == expected.tobytes()


def test_training_is_the_same_bit_for_bit():
    def trained():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input([4]), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        history = model.fit(x, x.sum(1), batch_size=8, epochs=2, verbose=0).history
        return history["loss"], [weight.tobytes() for weight in model.get_weights()]

    expected = trained()
    with hostsync.record(stack=True) as log:
        found = trained()
    assert found == expected
    assert len(log.reads) > 16
