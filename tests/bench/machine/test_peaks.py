import numpy as np
import pytest
import tensorflow as tf

from loop_bench.machine import peaks


def test_a_peak_counts_until_it_is_forgotten():
    peaks.forget_peaks()
    before = peaks.peak_resident()
    np.ones(2**25)  # 256 MiB, and gone
    assert peaks.peak_resident() - before > 0.9 * 2**28
    peaks.forget_peaks()
    assert peaks.peak_resident() - before < 2**27


def test_without_a_gpu_nothing_is_handed_out_of_one():
    assert peaks.allocated("current") == peaks.allocated("peak") == ()


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs whose allocators say what a test wants them to."""
    devices = [type("Device", (), {"name": f"GPU:{number}"})() for number in range(2)]
    held = {each.name: {"current": 10, "peak": 99} for each in devices}

    def reset(name):
        held[name]["peak"] = held[name]["current"]

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices)
    monkeypatch.setattr(tf.config.experimental, "reset_memory_stats", reset)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", held.__getitem__)
    return held


def test_of_each_gpu_it_is_what_its_allocator_handed_out(gpus):
    gpus["GPU:1"]["current"] = 20
    assert peaks.allocated("current") == (10, 20)
    assert peaks.allocated("peak") == (99, 99)
    peaks.forget_peaks()
    assert peaks.allocated("peak") == (10, 20)
