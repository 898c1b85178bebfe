import dataclasses

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from loop_bench import hostsync
from loop_bench.hostsync.log import Read
from loop_bench.hostsync.reconcile import Reconciled, reconcile, reconciled
from loop_bench.hostsync.trace import Copy


def read(device="GPU:0", nbytes=4):
    return Read(
        route="float", file="train.py", line=7, shape=(), dtype="float32", nbytes=nbytes, device=device, seconds=1e-5,
        asynchronous=True, thread="MainThread",
    )  # fmt: skip


def copy(device="GPU:0", nbytes=4, started=0.0):
    return Copy(device, nbytes, started, 1e-6)


# Few devices and sizes, so that many are alike; TPU:0 stands for whatever is no GPU and no host.
reads = st.lists(st.builds(read, st.sampled_from(["GPU:0", "GPU:1", "CPU:0", "TPU:0"]), st.sampled_from([0, 1, 4])))
copies = st.lists(
    st.builds(copy, st.sampled_from(["GPU:0", "GPU:1"]), st.sampled_from([0, 1, 4]), st.sampled_from([1.0, 2.0, 3.0]))
)


def counts(found):
    left = sorted((each.device, each.nbytes) for each in found.unexplained)
    return found.matched, found.python_only, found.uncopied, left


def test_no_reads_and_no_copies():
    assert reconcile([], []) == Reconciled(matched=0, unexplained=(), python_only=0, uncopied=0)


def test_a_read_takes_the_earliest_copy_of_its_device_and_size():
    early, late = copy(started=1.0), copy(started=2.0)
    others = [copy("GPU:1", started=0.0), copy(nbytes=8, started=0.5)]
    for given_copies in ([*others, early, late], [late, early, *reversed(others)]):
        assert reconcile([read()], given_copies) == Reconciled(1, (*others, late), 0, 0)


def test_a_read_of_what_is_on_the_host_takes_no_copy():
    assert reconcile([read("CPU:0")], [copy()]) == Reconciled(0, (copy(),), 1, 0)
    assert reconcile([read("CPU:0", 0)], []) == Reconciled(0, (), 1, 0)


@pytest.mark.parametrize(
    ("lonely", "left"),
    [
        (read(), ()),  # its copy is not in the trace
        (read("GPU:1"), (copy(),)),
        (read(nbytes=5), (copy(),)),
        (read(nbytes=0), (copy(nbytes=0),)),  # bytes that are not known are no match for a DLPack export
    ],
)
def test_a_read_without_its_copy_is_counted(lonely, left):
    assert reconcile([lonely], left) == Reconciled(0, left, 0, 1)


def test_the_bytes_that_no_read_explains_are_added():
    found = reconcile([read(), read("CPU:0", 100)], [copy(), copy(nbytes=10), copy("GPU:1", 20), copy()])
    assert found.unexplained_nbytes == 34
    assert reconcile([read()], [copy()]).unexplained_nbytes == 0


def test_reads_may_come_from_an_iterator():
    assert reconcile(iter([read(), read()]), [copy()]) == Reconciled(1, (), 0, 1)


def test_the_result_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        reconcile([], []).matched = 1


@pytest.mark.parametrize("trace", [False, True])
def test_records_and_traces_at_the_same_time(trace):
    with reconciled(trace, stack=True) as (log, found):
        float(tf.constant(1.0))
        assert found == []
    assert [bool(each.stack) for each in log.reads] == [True]
    assert found == ([Reconciled(matched=0, unexplained=(), python_only=1, uncopied=0)] if trace else [])


def test_a_trace_that_was_lost_loses_no_reads():
    lost = pytest.warns(hostsync.HostSyncWarning, match="were not counted: the program has stopped the profiler")
    with lost, reconciled(True) as (log, found):
        float(tf.constant(1.0))
        tf.profiler.experimental.stop(save=False)
    assert (len(log.reads), found) == (1, [])


def test_an_error_inside_is_kept_when_the_trace_is_lost_too():
    lost = pytest.warns(hostsync.HostSyncWarning, match="copies from the device were not counted")
    with lost, pytest.raises(KeyError), reconciled(True):
        tf.profiler.experimental.stop(save=False)
        raise KeyError


@given(reads, copies)
def test_every_read_and_every_copy_is_counted_once(reads, copies):
    found = reconcile(reads, copies)
    assert found.matched + len(found.unexplained) == len(copies)
    assert found.matched + found.python_only + found.uncopied == len(reads)
    left = list(copies)
    for each in found.unexplained:
        left.remove(each)  # raises where it is none of them, or is there too often


@given(reads, copies)
def test_nothing_that_could_be_matched_is_left(reads, copies):
    found = reconcile(reads, copies)
    again = reconcile(reads, found.unexplained)
    spare = [each for each in reads if not each.device.startswith("CPU") and each.nbytes]
    for kind in {(each.device, each.nbytes) for each in spare}:
        wanted = sum((each.device, each.nbytes) == kind for each in spare)
        there = sum((each.device, each.nbytes) == kind for each in copies)
        left = sum((each.device, each.nbytes) == kind for each in found.unexplained)
        assert left == max(0, there - wanted)
    assert again.matched <= found.matched


@given(reads, copies, st.randoms(use_true_random=False))
def test_the_order_of_reads_and_copies_does_not_matter(reads, copies, random):
    found = reconcile(reads, copies)
    random.shuffle(reads)
    random.shuffle(copies)
    again = reconcile(reads, copies)
    assert counts(again) == counts(found)
    assert sorted(again.unexplained, key=repr) == sorted(found.unexplained, key=repr)


@given(reads, copies)
def test_what_no_read_explains_is_in_the_order_in_which_it_started(reads, copies):
    started = [each.started for each in reconcile(reads, copies).unexplained]
    assert started == sorted(started)


@given(reads, copies)
def test_another_read_or_copy_moves_one_count(reads, copies):
    before = reconcile(reads, copies)
    for more in (read(), read("GPU:1", 1), read("CPU:0"), read(nbytes=0)):
        after = reconcile([*reads, more], copies)
        moved = (
            after.matched - before.matched,
            after.python_only - before.python_only,
            after.uncopied - before.uncopied,
        )
        assert sorted(moved) == [0, 0, 1]
        assert (after.matched > before.matched) == (len(after.unexplained) < len(before.unexplained))
