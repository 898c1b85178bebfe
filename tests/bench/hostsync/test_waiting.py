import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from bench import hostsync
from bench.hostsync import waiting
from bench.hostsync.waiting import ReadTime

seconds = st.floats(0, 10, allow_nan=False)


@given(seconds, st.integers(0, 10**9), st.floats(0, 1e-3), st.floats(0, 1e-8))
def test_never_waits_longer_than_it_took(took, nbytes, fixed, per_byte):
    assert 0 <= ReadTime(fixed, per_byte).waited(took, nbytes) <= took


@given(st.integers(0, 10**9), st.floats(0, 1e-3), st.floats(0, 1e-8))
def test_a_read_that_takes_what_a_ready_one_does_has_not_waited(nbytes, fixed, per_byte):
    assert ReadTime(fixed, per_byte).waited(fixed + per_byte * nbytes, nbytes) == 0


def test_what_is_beyond_the_read_itself_was_waited():
    assert ReadTime(1e-5, 1e-9).waited(0.5, 1000) == pytest.approx(0.5 - 1.1e-5)


def test_a_short_read_needs_no_measurement(monkeypatch):
    monkeypatch.setattr(waiting, "read_time", lambda device: pytest.fail("measured"))
    assert waiting.waited("GPU:0", 40e-6, 4) == 0


def test_the_slack_is_twice_a_ready_read_and_50_microseconds():
    ready = ReadTime(1e-4, 0.0)
    assert ready.waited(2.4e-4, 4) == 0
    assert ready.waited(2.6e-4, 4) == pytest.approx(1.6e-4)


@pytest.fixture
def asynchronous():
    tf.config.experimental.set_synchronous_execution(False)
    yield
    tf.config.experimental.set_synchronous_execution(True)


def test_what_a_cpu_computes_is_ready_unless_it_was_told_otherwise(asynchronous):
    assert waiting.is_asynchronous("GPU:0")
    assert waiting.is_asynchronous("CPU:0")
    tf.config.experimental.set_synchronous_execution(True)
    assert waiting.is_asynchronous("GPU:0")
    assert not waiting.is_asynchronous("CPU:0")


def test_a_device_is_measured_once_and_nobody_is_told():
    waiting.read_time.cache_clear()
    with hostsync.record() as log:
        found = waiting.read_time("CPU:0")
    assert 0 < found.fixed < 0.1
    assert found.per_byte >= 0
    assert waiting.read_time("CPU:0") is found
    assert log.reads == []


@tf.function
def product_read_inside(x):
    return tf.py_function(lambda y: float((y @ y)[0, 0].numpy()), [x], tf.float32)


def queued(x, count=8):
    for _ in range(count):
        x = tf.linalg.matmul(x, x) / 700.0
    return x


def test_a_read_of_what_is_not_ready_has_waited(asynchronous):
    work = tf.random.normal([700, 700])
    with hostsync.record() as log:
        value = queued(work)
        value.numpy()
        value.numpy()
    first, second = log.reads
    assert not first.ready
    assert 0 < first.waited <= first.seconds
    assert second.waited < first.waited


def test_slow_reads_while_a_function_is_traced_or_runs_do_no_harm(asynchronous):
    waiting.read_time.cache_clear()
    work = tf.random.normal([700, 700])

    @tf.function
    def traced(x):
        return x + np.asarray(queued_before)[0, 0]

    with hostsync.record() as log:
        queued_before = queued(work)
        traced(work)
        product_read_inside(work).numpy()
    assert len(log.reads) == 3
    assert all(read.waited >= 0 for read in log.reads)
