import numpy as np
import pytest

from bench.experiments.ladder.memory import Gauge
from bench.machine import memory


def test_what_was_held_in_between_counts():
    gauge = Gauge()
    np.ones(2**24)  # 128 MiB, and gone
    found = gauge.peak()
    assert found.of == "resident set"
    assert 0.9 * 2**27 < found.nbytes < 3 * 2**27


def test_what_was_held_before_does_not():
    held = np.ones(2**24)
    assert Gauge().peak().nbytes < 2**26
    assert held.size


def test_a_peak_that_came_before_is_forgotten():
    np.ones(2**25)  # 256 MiB, and gone
    assert Gauge().peak().nbytes < 2**26


@pytest.fixture
def gpus(monkeypatch):
    """Bytes that the allocators of two GPUs have handed out."""
    held = {"current": (10, 10), "peak": (10, 10)}
    monkeypatch.setattr(memory, "allocated", held.__getitem__)
    return held


def test_of_gpus_it_is_what_their_allocators_handed_out(gpus):
    gauge = Gauge()
    assert gauge.peak().nbytes == 0
    gpus["peak"] = (110, 60)
    assert (gauge.peak().of, gauge.peak().nbytes) == ("device memory", 150)
