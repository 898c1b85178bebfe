import numpy as np
import pytest
import tensorflow as tf

from bench.hostsync.bufferslot import BufferSlot

TENSOR = type(tf.constant(0))


def test_every_granted_request_passes_the_listener():
    seen = []

    def listener(tensor, read):
        granted = read()
        seen.append((tensor.dtype.name, granted))
        return granted

    slot = BufferSlot(TENSOR, listener)
    slot.install()
    try:
        np.testing.assert_array_equal(np.asarray(tf.constant([1, 2])), [1, 2])
        np.testing.assert_array_equal(np.asarray(tf.constant([1.0], tf.bfloat16)), [1])
    finally:
        slot.restore()
    np.asarray(tf.constant([1, 2]))
    assert seen == [("int32", True), ("bfloat16", False)]


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
