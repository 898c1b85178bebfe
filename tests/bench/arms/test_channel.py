import math
import os
import socket
import threading

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from loop_bench.arms.channel import Channel

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128", ">f4", ">i8", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4,
)  # fmt: skip


@pytest.fixture
def ends():
    """Both ends of a connection."""
    one, other = (Channel(each.detach()) for each in socket.socketpair())
    yield one, other
    one.close()
    other.close()


def through(value):
    """A value that has gone through a connection; sent by a thread, as one that is large needs a reader to go."""
    one, other = (Channel(each.detach()) for each in socket.socketpair())
    sender = threading.Thread(target=one.send, args=(value,))
    sender.start()
    try:
        return other.receive(10)
    finally:
        sender.join()
        one.close()
        other.close()


def alike(one, other):
    """Whether two values are the same, NaN and types of arrays included."""
    if isinstance(one, np.ndarray):
        same_kind = isinstance(other, np.ndarray) and one.dtype.newbyteorder("=") == other.dtype
        return same_kind and one.shape == other.shape and one.astype(other.dtype).tobytes() == other.tobytes()
    if isinstance(one, dict):
        return isinstance(other, dict) and [*one] == [*other] and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return isinstance(other, list) and len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arrays_of_all_types_and_shapes_arrive(dtype, shape):
    sent = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    found = through(sent)
    assert alike(sent, found)
    found[...] = 0  # it belongs to who has received it


def test_numbers_that_are_none_arrive():
    sent = np.array([np.nan, np.inf, -np.inf, -0.0, np.finfo(float).tiny / 4])
    assert alike(sent, through(sent))
    assert alike(sent.astype(ml_dtypes.bfloat16), through(sent.astype(ml_dtypes.bfloat16)))
    assert alike([math.nan, math.inf, -math.inf], through([math.nan, math.inf, -math.inf]))


def test_only_what_is_seen_of_an_array_is_sent():
    whole = np.arange(24.0).reshape(4, 6)
    for part in (whole[::2, 1::3], whole.T, np.asfortranarray(whole), np.broadcast_to(whole[0], (3, 6))):
        assert alike(np.ascontiguousarray(part), through(part))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text()
    | of_numpy.arrays(st.sampled_from(["f4", "f8", "i4", "?", ">f4"]), of_numpy.array_shapes(min_dims=0, min_side=0)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_values_arrive_as_they_were_sent(value):
    assert alike(value, through(value))


def test_numbers_of_numpy_arrive_as_numbers_and_other_keys_as_texts():
    sent = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), 4: ml_dtypes.bfloat16(2)}
    assert through(sent) == {"a": 0.5, "b": 3, "c": True, "4": 2.0}


def test_more_than_a_pipe_holds_arrives():
    sent = np.random.default_rng(0).normal(size=[300, 1000])
    assert alike([sent, "after it"], through([sent, "after it"]))


def test_messages_arrive_in_their_order_and_both_ways(ends):
    one, other = ends
    one.send(1)
    one.send([np.ones(2), np.zeros(1)])
    other.send("back")
    assert other.receive() == 1
    assert alike(other.receive(), [np.ones(2), np.zeros(1)])
    assert one.receive() == "back"


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, "a", None], object),
        np.array(["a"]),
        np.array([b"a"]),
        np.array([(1, 2.0)], [("a", int), ("b", float)]),
        np.array(["2026-01-01"], "datetime64[D]"),
        np.zeros(2, "V3"),
        {1, 2},
        b"bytes",
        1 + 2j,
        object(),
    ],
    ids=lambda value: str(getattr(value, "dtype", type(value).__name__)),
)
def test_what_cannot_be_sent_is_refused_and_nothing_of_it_is_sent(ends, value):
    one, other = ends
    with pytest.raises(TypeError):
        one.send({"first": np.ones(2), "then": value})
    one.send("next")
    assert other.receive(10) == "next"


def test_a_closed_other_end_is_the_end_of_messages(ends):
    one, other = ends
    one.send("last")
    one.close()
    assert other.receive() == "last"
    for timeout in (None, 10):
        with pytest.raises(EOFError):
            other.receive(timeout)
    with pytest.raises(OSError, match=r"."):
        other.send("too late")


def test_a_message_that_breaks_off_is_the_end(ends):
    one, other = ends
    os.write(one._connection.fileno(), b"\0\0\0\7abc")  # announces seven bytes
    one.close()
    with pytest.raises(EOFError):
        other.receive()


def test_what_does_not_come_is_waited_for_no_longer_than_said(ends):
    one, other = ends
    with pytest.raises(TimeoutError):
        other.receive(0)
    one.send(1)
    assert other.receive(0) == 1
