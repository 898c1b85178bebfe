import numpy as np
import pytest
import tensorflow as tf

from bench.ladders import memory
from bench.ladders.memory import Gauge


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
    """Two GPUs whose allocators say what a test wants them to."""
    device = type("Device", (), {})
    devices = [device(), device()]
    for number, each in enumerate(devices):
        each.name = f"GPU:{number}"
    held = {each.name: {"current": 10, "peak": 99} for each in devices}

    def reset(name):
        held[name]["peak"] = held[name]["current"]

    monkeypatch.setattr(memory.tf.config, "list_logical_devices", lambda kind: devices)
    monkeypatch.setattr(tf.config.experimental, "reset_memory_stats", reset)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", held.__getitem__)
    return held


def test_of_gpus_it_is_what_their_allocators_handed_out(gpus):
    gauge = Gauge()
    assert gauge.peak().nbytes == 0  # what came before is forgotten
    gpus["GPU:0"]["peak"], gpus["GPU:1"]["peak"] = 110, 60
    assert (gauge.peak().of, gauge.peak().nbytes) == ("device memory", 150)
