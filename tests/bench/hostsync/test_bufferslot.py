import _thread
import ctypes
import functools
import io
import sys

import numpy as np
import pytest
import tensorflow as tf

from loop_bench.hostsync import bufferslot
from loop_bench.hostsync.bufferslot import BufferSlot, Memory

TENSOR = type(tf.constant(0))


def test_every_granted_request_passes_the_listener():
    seen = []

    def listener(tensor, read):
        memory = read()
        seen.append((tensor.dtype.name, memory and memory.nbytes))

    slot = BufferSlot(TENSOR, listener)
    slot.install()
    try:
        np.testing.assert_array_equal(np.asarray(tf.constant([1, 2])), [1, 2])
        np.testing.assert_array_equal(np.asarray(tf.constant([1.0], tf.bfloat16)), [1])
    finally:
        slot.restore()
    np.asarray(tf.constant([1, 2]))
    assert seen == [("int32", 8), ("bfloat16", None)]


def test_a_request_to_write_is_refused_without_the_listener():
    seen, tensor = [], tf.constant([1, 2])
    slot = BufferSlot(TENSOR, lambda tensor, read: seen.append(read()))
    slot.install()
    try:
        with pytest.raises((BufferError, TypeError, SystemError)):
            io.BytesIO(bytes(8)).readinto(tensor)
        assert seen == []
        assert memoryview(tensor).readonly
        assert len(seen) == 1
    finally:
        slot.restore()


def test_tensors_are_not_kept_alive():
    import gc
    import weakref

    slot = BufferSlot(TENSOR, lambda tensor, read: read())
    slot.install()
    try:
        tensor = tf.constant([1.0, 2.0])
        np.asarray(tensor)
        alive = weakref.ref(tensor)
        del tensor
        gc.collect()
        assert alive() is None
    finally:
        slot.restore()


def test_refuses_a_type_that_has_no_such_slot():
    with pytest.raises(RuntimeError, match="int does not offer the buffer protocol"):
        BufferSlot(int, lambda tensor, read: read())


def test_a_listener_that_refuses_keeps_the_buffer_back():
    def refuse(tensor, read):
        raise LookupError("not now")

    slot = BufferSlot(TENSOR, refuse)
    slot.install()
    try:
        with pytest.raises(SystemError):  # no exception passes from the callback to who asked
            memoryview(tf.constant([1.0]))
        np.testing.assert_array_equal(np.asarray(tf.constant([1.0])), [1.0])  # NumPy tries another way
    finally:
        slot.restore()


def test_a_failing_listener_is_reported(capsys):
    def breaks(tensor, read):
        read()
        raise LookupError("a defect")

    slot = BufferSlot(TENSOR, breaks)
    slot.install()
    try:
        assert memoryview(tf.constant([1.0])).tolist() == [1.0]
    finally:
        slot.restore()
    assert "LookupError: a defect" in capsys.readouterr().err


refused = pytest.param(
    False,
    marks=pytest.mark.skipif(
        sys.version_info < (3, 11), reason="Python 3.10 raises SystemError in place of the KeyboardInterrupt"
    ),
)
"""The interpreter handles the signal while it formats the SystemError (in PyObject_Repr), and drops it."""


def is_interrupted_at_once(ask, tensor):
    """Whether a Ctrl-C is raised at the request or at the next call, where the interpreter checks for signals."""
    try:
        try:
            ask(tensor)
        finally:
            len(())
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("granted", [True, refused])
def test_a_ctrl_c_inside_comes_again_outside_at_once(granted, times, capsys):
    def interrupted(tensor, read):
        if granted:
            read()
        for _, _ in zip(range(times - 1), bufferslot._interrupt, strict=False):
            break  # one more waits as this ends
        raise KeyboardInterrupt

    slot = BufferSlot(TENSOR, interrupted)
    tensor = tf.constant([1.0])
    slot.install()
    try:
        found = {is_interrupted_at_once(memoryview, tensor) for _ in range(200)}
    finally:
        slot.restore()
    assert found == {True}
    assert capsys.readouterr().err == ""  # where C says that an exception was lost


@pytest.mark.parametrize("build", [{"python_implementation": "PyPy"}, {"free_threaded": True}])
def test_unknown_builds_of_python_are_refused(monkeypatch, build):
    if "python_implementation" in build:
        monkeypatch.setattr("platform.python_implementation", lambda: build["python_implementation"])
    else:
        monkeypatch.setattr("sysconfig.get_config_var", lambda name: name == "Py_GIL_DISABLED")
    with pytest.raises(RuntimeError, match="at an unknown place"):
        BufferSlot(TENSOR, lambda tensor, read: read())


@pytest.mark.parametrize("ask", [np.asarray, pytest.param(memoryview, marks=refused.marks)])
def test_a_ctrl_c_that_waited_for_python_is_not_lost(ask, capsys):
    slot = BufferSlot(TENSOR, lambda tensor, read: read())
    # In C all the way: the signal is met where Python runs again, which is inside the callback.
    calls = [functools.partial(_thread.interrupt_main), functools.partial(ask, tf.constant([1.0]))]
    slot.install()
    try:
        found = {is_interrupted_at_once(list, map(functools.partial.__call__, calls)) for _ in range(200)}
    finally:
        slot.restore()
    assert found == {True}
    assert capsys.readouterr().err == ""


def test_memory_holds_objects():
    words = (ctypes.py_object * 2)(b"ab", b"c")
    assert list(Memory(ctypes.addressof(words), 16).objects()) == [b"ab", b"c"]
