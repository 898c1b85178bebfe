import numpy as np
import pytest

from loop_bench.machine import memory
from loop_bench.machine.memory import Gauge


def test_memory_held_in_between_counts():
    gauge = Gauge()
    np.ones(2**24)  # 128 MiB, and gone
    found = gauge.peak()
    assert found.of == "resident set"
    assert 0.9 * 2**27 < found.nbytes < 3 * 2**27


def test_memory_held_before_does_not_count():
    held = np.ones(2**24)
    assert Gauge().peak().nbytes < 2**26
    assert held.size


def test_a_peak_that_came_before_is_forgotten():
    np.ones(2**25)  # 256 MiB, and gone
    assert Gauge().peak().nbytes < 2**26


def many():
    """256 MiB in pieces that the allocator does not give back one by one."""
    return [np.ones(2**13) for _ in range(2**12)]


def test_what_the_allocator_has_kept_from_before_counts():
    pieces = many()
    kept = pieces[-1]  # above all others
    del pieces
    gauge = Gauge()
    pieces = many()
    assert gauge.peak().nbytes > 0.8 * 2**28
    assert kept.size + len(pieces) > 0


@pytest.fixture
def held(monkeypatch):
    """Bytes that the allocators of two GPUs have handed out."""
    held = {"current": (10, 10), "peak": (10, 10)}
    monkeypatch.setattr(memory, "allocated", held.__getitem__)
    return held


def test_of_gpus_it_is_what_their_allocators_handed_out(held):
    gauge = Gauge()
    assert gauge.peak().nbytes == 0
    held["peak"] = (110, 60)
    assert (gauge.peak().of, gauge.peak().nbytes) == ("device memory", 150)
