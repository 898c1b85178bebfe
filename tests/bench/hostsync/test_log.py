import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop_bench import hostsync
from loop_bench.hostsync.log import Read, ReadTime, by_site, is_asynchronous, read_time, waited
from loop_bench.source import Frame

A_READ = Read("float", "train.py", 7, (), "float32", 4, "GPU:0", 0.002, True, "MainThread")


@pytest.fixture
def ready_values_take_half_a_millisecond(monkeypatch):
    monkeypatch.setattr("loop_bench.hostsync.log.read_time", lambda device: ReadTime(0.0005, 0.0))


in_half_a_millisecond = pytest.mark.usefixtures("ready_values_take_half_a_millisecond")
unchanged_by_examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


reads = st.lists(
    st.builds(
        Read,
        route=st.sampled_from(["float", "numpy"]),
        file=st.sampled_from(["a.py", "b.py"]),
        line=st.integers(1, 3),
        shape=st.just(()),
        dtype=st.just("float32"),
        nbytes=st.integers(0, 100),
        device=st.just("GPU:0"),
        seconds=st.floats(0, 1),
        asynchronous=st.booleans(),
        thread=st.sampled_from(["MainThread", "logger"]),
        allowed=st.sampled_from([None, "why"]),
    )
)


@in_half_a_millisecond
@unchanged_by_examples
@given(reads)
def test_nothing_is_lost(found):
    sites = by_site(found)
    assert sum(site.reads for site in sites) == len(found)
    assert sum(site.nbytes for site in sites) == sum(read.nbytes for read in found)
    assert sum(site.waits for site in sites) == sum(not read.ready for read in found)
    assert sum(site.allowed for site in sites) == sum(read.allowed is not None for read in found)
    assert len({(site.file, site.line, site.route) for site in sites}) == len(sites)


@in_half_a_millisecond
@unchanged_by_examples
@given(reads)
def test_those_with_most_reads_come_first(found):
    counts = [site.reads for site in by_site(found)]
    assert counts == sorted(counts, reverse=True)


@in_half_a_millisecond
def test_adds_up_a_line():
    other = dataclasses.replace(A_READ, asynchronous=False, thread="logger", allowed="why")
    (site,) = by_site([A_READ, other])
    assert (site.reads, site.nbytes, site.seconds) == (2, 8, 0.004)
    assert (site.waits, site.waited, site.allowed, site.threads) == (1, 0.0015, 1, ("MainThread", "logger"))
    assert site.source == ""


@in_half_a_millisecond
def test_names_the_code_that_read_for_a_line_most_often_first():
    rare, often = (Frame(keras.__file__, number, name) for number, name in ((1, "rare"), (2, "often")))
    reads = [dataclasses.replace(A_READ, stack=(frame,)) for frame in (rare, often, often)]
    assert by_site([*reads, A_READ])[0].readers == (((often,), 2), ((rare,), 1))


@in_half_a_millisecond
def test_shows_the_source(tmp_path):
    file = tmp_path / "train.py"
    file.write_text("\n\n    loss = float(x)\n")
    assert by_site([dataclasses.replace(A_READ, file=str(file), line=3)])[0].source == "loss = float(x)"


seconds = st.floats(0, 10, allow_nan=False)


@given(seconds, st.integers(0, 10**9), st.floats(0, 1e-3), st.floats(0, 1e-8))
def test_never_waits_longer_than_it_took(took, nbytes, fixed, per_byte):
    assert 0 <= ReadTime(fixed, per_byte).waited(took, nbytes) <= took


@given(st.integers(0, 10**9), st.floats(0, 1e-3), st.floats(0, 1e-8))
def test_a_read_that_takes_what_a_ready_one_does_has_not_waited(nbytes, fixed, per_byte):
    assert ReadTime(fixed, per_byte).waited(fixed + per_byte * nbytes, nbytes) == 0


def test_time_beyond_the_read_itself_is_waiting():
    assert ReadTime(1e-5, 1e-9).waited(0.5, 1000) == pytest.approx(0.5 - 1.1e-5)


def test_a_short_read_needs_no_measurement(monkeypatch):
    monkeypatch.setattr("loop_bench.hostsync.log.read_time", lambda device: pytest.fail("measured"))
    assert waited("GPU:0", 40e-6, 4) == 0


def test_the_slack_is_twice_a_ready_read_and_50_microseconds():
    ready = ReadTime(1e-4, 0.0)
    assert ready.waited(2.4e-4, 4) == 0
    assert ready.waited(2.6e-4, 4) == pytest.approx(1.6e-4)


@pytest.fixture
def asynchronous():
    tf.config.experimental.set_synchronous_execution(False)
    yield
    tf.config.experimental.set_synchronous_execution(True)


def test_a_cpus_values_are_ready_unless_it_is_asynchronous(asynchronous):
    assert is_asynchronous("GPU:0")
    assert is_asynchronous("CPU:0")
    tf.config.experimental.set_synchronous_execution(True)
    assert is_asynchronous("GPU:0")
    assert not is_asynchronous("CPU:0")


def test_a_device_is_measured_once_without_recorded_reads():
    read_time.cache_clear()
    with hostsync.record() as log:
        found = read_time("CPU:0")
    assert 0 < found.fixed < 0.1
    assert found.per_byte >= 0
    assert read_time("CPU:0") is found
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
    read_time.cache_clear()
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
