import mmap
import time

import numpy as np
import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.experiments.profile import events
from loop_bench.experiments.telemetry import tracing, training
from loop_bench.hostsync import trace as profiler


class Timed:
    """A loop whose batches take so many seconds by a clock that nothing else moves; the first run takes longer."""

    def __init__(self, a_batch, first=0.0):
        self.now, self.a_batch, self.first, self.runs = 50.0, a_batch, first, []

    def run(self, batches):
        self.now += batches * self.a_batch + (0 if self.runs else self.first)
        self.runs.append(batches)


def blocks_for(loop, batches, seconds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.time, "monotonic", lambda: loop.now)
        patch.setattr(training.clock, "fence", lambda: None)
        return training.blocks_for(loop, batches, seconds)


@given(a_batch=st.floats(1e-4, 10.0), batches=st.integers(1, 50), seconds=st.floats(0.1, 60.0))
def test_as_many_blocks_as_the_time_wants_and_never_too_few(a_batch, batches, seconds):
    loop = Timed(a_batch)
    blocks = blocks_for(loop, batches, seconds)
    assert blocks >= training.LEAST_BLOCKS
    assert blocks * batches * a_batch >= seconds * (1 - 1e-6)
    assert blocks == training.LEAST_BLOCKS or (blocks - 1) * batches * a_batch < seconds * (1 + 1e-6)
    assert set(loop.runs) == {batches}  # whole blocks: another number of batches could make the loop compile anew


def test_what_the_first_block_takes_says_nothing_and_the_warm_up_is_bounded():
    loop = Timed(2**-10, first=100.0)
    assert blocks_for(loop, 10, 5.0) == 512
    least = training.WARM_UP / (10 * 2**-10)
    assert least < len(loop.runs) - 1 < 4 * least  # so long, and the shorter runs before


def test_of_a_real_stretch():
    loop = toys.Quadratic()
    loop.run(1)
    before = time.monotonic()
    found = training.train(loop, 3, 4)
    assert before <= found.began < found.ended <= time.monotonic()
    assert (found.batches, len(loop.losses)) == (12, 13)
    assert 0 < found.cpu_seconds < 60
    assert found.peak_resident_bytes > 100 * 2**20
    assert (found.tf_peak_bytes, found.used_gpus) == (None, ())


def test_only_what_is_held_in_the_stretch_is_of_its_peak():
    np.ones(2**25)  # 256 MiB, and gone

    class Holding(toys.Quadratic):
        def run(self, batches):
            np.ones(2**23)  # 64 MiB
            super().run(batches)

    plain, holding = (training.train(made(), 1, 1).peak_resident_bytes for made in (toys.Quadratic, Holding))
    assert 0.5 * 2**26 < holding - plain < 2 * 2**26


def test_memory_given_back_and_taken_again_shows_in_page_faults():
    pages = 1024

    class Wasteful(toys.Quadratic):
        def run(self, batches):
            for _ in range(batches):
                with mmap.mmap(-1, pages * mmap.PAGESIZE) as memory:
                    memory.write(bytes(pages * mmap.PAGESIZE))
            super().run(batches)

    plain, wasteful = (training.train(made(), 5, 2) for made in (toys.Quadratic, Wasteful))
    # The kernel may hand out several pages at a fault, and the bytes to be written are new pages too.
    assert wasteful.page_faults - plain.page_faults > 10 * pages / 16
    assert 0 <= wasteful.system_seconds <= wasteful.cpu_seconds


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(training.peaks, "forget_peaks", lambda: None)
    monkeypatch.setattr(training.peaks, "allocated", lambda which: {"peak": (70, 0, 30)}[which])
    monkeypatch.setattr(training.driver, "bus", "bus {}".format)


def test_gpus_with_allocated_memory_count_as_used(two_gpus):
    found = training.train(toys.Quadratic(), 1, 1)
    assert (found.tf_peak_bytes, found.used_gpus) == (100, ("bus 0", "bus 2"))


def test_without_addresses_from_cuda_no_gpu_is_named(two_gpus, monkeypatch):
    monkeypatch.setattr(training.driver, "bus", {0: "bus 0", 2: None}.__getitem__)
    assert training.train(toys.Quadratic(), 1, 1).used_gpus == ()


def test_a_stretch_under_the_profiler_is_marked_in_its_trace(tmp_path):
    loop = toys.Quadratic()
    loop.run(1)
    training.train_traced(loop, 4, tmp_path, events.EXPENSIVE, events.MARK)
    found = tracing.of_trace(profiler.read(tmp_path), 4)
    assert (found.batches, len(loop.losses)) == (4, 5)
    assert 0 < found.busy < found.seconds < 60
