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


def test_on_a_cpu_values_are_ready():
    assert waiting.waited("CPU:0", 0.5, 4) == 0


def test_reads_of_a_device_are_timed_once(monkeypatch):
    waiting.read_time.cache_clear()
    monkeypatch.setattr(tf.config.experimental, "get_synchronous_execution", lambda: False)
    made = len(waiting.own_reads)
    with hostsync.record() as log:
        found = waiting.read_time("CPU:0")
    assert 0 < found.fixed < 0.1
    assert waiting.read_time("CPU:0") is found
    assert waiting.own_reads[made:] == [("CPU:0", 4)] * 7 + [("CPU:0", 4 << 20)] * 7
    assert log.reads == []
    assert waiting.waited("CPU:0", 1e-9, 4) == 0
    assert waiting.waited("CPU:0", 5.0, 4) == pytest.approx(5.0, abs=0.1)


def test_a_read_of_what_is_not_ready_has_waited():
    work = tf.random.normal([700, 700])
    tf.config.experimental.set_synchronous_execution(False)
    try:
        waiting.read_time("CPU:0")
        with hostsync.record() as log:
            for _ in range(8):
                work = tf.linalg.matmul(work, work) / 700.0
            work[0, 0].numpy()  # queued behind eight products
            work[0, 0].numpy()
    finally:
        tf.config.experimental.set_synchronous_execution(True)
    first, _ = log.reads
    assert not first.ready
    assert 0 < first.waited <= first.seconds
