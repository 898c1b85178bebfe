import pickle
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench import hostsync
from bench.hostsync import recorder

NAMES = {
    "np": np, "tf": tf, "keras": keras, "pickle": pickle,
    "t": tf.constant([1.0, 2.0, 3.0]),
    "d": tf.constant([[1.0, 2.0]], tf.float64),
    "s": tf.constant(2.0),
    "i": tf.constant(1),
    "b": tf.constant(True),
    "half": tf.constant([1.0, 2.0], tf.bfloat16),
    "text": tf.constant(["ab", "c"]),
    "v": tf.Variable([1.0, 2.0]),
    "k": keras.Variable([1.0, 2.0]),
    "a": np.zeros(3, np.float32),
}  # fmt: skip

# One line of a program each, how it reads, and how many bytes.
READS = [
    ("t.numpy()", "numpy", 12),
    ("d.numpy()", "numpy", 16),
    ("half.numpy()", "numpy", 4),
    ("text.numpy()", "numpy", 3),
    ("v.numpy()", "numpy", 8),
    ("k.numpy()", "numpy", 8),
    ("t.__array__()", "array", 12),
    ("float(s)", "float", 4),
    ("int(s)", "int", 4),
    ("complex(s)", "complex", 4),
    ("bool(b)", "bool", 1),
    ("1 if b else 2", "bool", 1),
    ("not b", "bool", 1),
    ("[0, 1, 2][i]", "index", 4),
    ("range(i)", "index", 4),
    ("str(t)", "str", 12),
    ("repr(t)", "repr", 12),
    ("f'{s:.3f}'", "format", 4),
    ("f'{s}'", "format", 4),
    ("'%s' % s", "str", 4),
    ("max(s, s + 1)", "bool", 1),
    ("2.0 in [s]", "bool", 1),
    ("pickle.dumps(t)", "reduce", 12),
    ("tf.get_static_value(t)", "constant_value", 12),
    ("tf.cond(b, lambda: s, lambda: s)", "cond_for_tf_v2", 1),
    ("next(tf.data.Dataset.range(2).as_numpy_iterator())", "next", 8),
    ("np.asarray(t)", "buffer", 12),
    ("np.array(t)", "buffer", 12),
    ("np.float32(s)", "buffer", 4),
    ("np.add(t, 1)", "buffer", 12),
    ("np.mean(t)", "buffer", 12),
    ("np.isnan(t)", "buffer", 12),
    ("memoryview(t)", "buffer", 12),
    ("np.frombuffer(t, np.float32)", "buffer", 12),
    ("keras.ops.convert_to_numpy(t)", "buffer", 12),
    ("np.asarray(half)", "array", 4),
    ("np.asarray(v)", "array", 8),
    ("np.asarray(k)", "array", 8),
]

# What looks like a read and is none.
NO_READS = [
    "len(t)",
    "list(t)",
    "t.shape",
    "t + a",
    "a + t",
    "t[0]",
    "tf.convert_to_tensor([t, t])",
    "tf.reduce_mean(t)",
    "__import__('copy').deepcopy(t)",
    "keras.ops.shape(t)",
    "v.assign(v)",
    "tf.function(lambda x: x + 1)(t)",
]


def run(program):
    with hostsync.record() as log:
        exec(compile(f"\n\n{program}", "program_of_a_user.py", "exec"), dict(NAMES))
    return log.reads


@pytest.mark.parametrize(("program", "route", "nbytes"), READS, ids=[program for program, *_ in READS])
def test_counts_each_read_once_at_its_line(program, route, nbytes):
    run(program)  # what is made at the first use is no read of the program
    (read,) = run(program)
    assert (read.route, read.file, read.line, read.nbytes) == (route, "program_of_a_user.py", 3, nbytes)


@pytest.mark.parametrize("program", NO_READS)
def test_counts_nothing_where_nothing_is_read(program):
    run(program)
    assert run(program) == []


def test_two_tensors_are_two_reads():
    assert [read.nbytes for read in run("np.stack([t, t])")] == [12, 12]


def test_says_all_about_a_read():
    (read,) = run("d.numpy()")
    assert (read.shape, read.dtype, read.thread) == ((1, 2), "float64", "MainThread")
    assert 0 <= read.seconds < 1


def test_reads_inside_a_function_belong_to_its_line():
    (read,) = run("def loss_of(x):\n    y = x * 2\n    return float(y)\nloss_of(s)")
    assert read.line == 5


def test_results_are_the_same():
    for program, *_ in READS:
        expected = eval(program, dict(NAMES))
        with hostsync.record():
            found = eval(program, dict(NAMES))
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected), err_msg=program)


def test_writable_buffers_are_refused_as_ever():
    for recording in (False, True):
        with hostsync.record() if recording else pytest.MonkeyPatch.context():
            array = np.asarray(NAMES["t"])
            assert not array.flags.writeable


def hooks():
    tensor = type(tf.constant(0))
    return tensor.__dict__.get(recorder._METHOD), recorder._hooks._slot._slot.value


def test_an_exception_restores_everything():
    before = hooks()
    with pytest.raises(KeyError), hostsync.record():
        assert hooks() != before
        raise KeyError
    assert hooks() == before


def test_nested_recorders_see_what_is_inside_them():
    before = hooks()
    with hostsync.record() as outer:
        float(NAMES["s"])
        with hostsync.record() as inner:
            np.asarray(NAMES["t"])
        float(NAMES["s"])
    assert [read.route for read in outer.reads] == ["float", "buffer", "float"]
    assert [read.route for read in inner.reads] == ["buffer"]
    assert hooks() == before


def test_nothing_is_seen_outside():
    with hostsync.record() as log:
        pass
    NAMES["t"].numpy()
    np.asarray(NAMES["t"])
    assert log.reads == []


def test_reads_of_all_threads_are_seen():
    def work():
        for _ in range(50):
            NAMES["t"].numpy()
            np.asarray(NAMES["t"])

    threads = [threading.Thread(target=work, name=f"worker {number}") for number in range(4)]
    with hostsync.record() as log:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(log.reads) == 400
    assert {read.thread for read in log.reads} == {f"worker {number}" for number in range(4)}
