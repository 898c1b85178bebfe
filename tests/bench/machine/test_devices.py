import os
import types

import pynvml
import pytest

from bench.machine import devices


def test_of_a_machine_without_a_gpu():
    found = devices.state()
    assert len(found["load_average"]) == 3
    assert found["gpus"] == [] or found["gpus"][0]["name"]


@pytest.fixture
def nvml(monkeypatch):
    """One GPU, hot, with another process on it."""
    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: "NVIDIA H100",
        "nvmlDeviceGetClockInfo": lambda handle, clock: {pynvml.NVML_CLOCK_SM: 1200, pynvml.NVML_CLOCK_MEM: 2619}[
            clock
        ],
        "nvmlDeviceGetMaxClockInfo": lambda handle, clock: 1980,
        "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: (
            pynvml.nvmlClocksEventReasonSwThermalSlowdown | pynvml.nvmlClocksEventReasonGpuIdle
        ),
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [types.SimpleNamespace(pid=pid) for pid in (4711, 1)],
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    return answers


def test_what_nvml_tells(nvml):
    assert devices.state()["gpus"] == [
        {
            "name": "NVIDIA H100",
            "sm_mhz": 1200,
            "max_sm_mhz": 1980,
            "memory_mhz": 2619,
            "throttled_by": ["software thermal slowdown"],  # idling is no throttling
            "other_processes": 1,
        }
    ]


def test_what_it_refuses_is_unknown_and_the_rest_is_kept(nvml, monkeypatch):
    def refuse(*_):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetComputeRunningProcesses"):
        monkeypatch.setattr(pynvml, name, refuse)
    (found,) = devices.state()["gpus"]
    assert (found["throttled_by"], found["other_processes"], found["sm_mhz"]) == (None, None, 1200)


def test_a_gpu_is_shared_unless_someone_says_otherwise(monkeypatch):
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "")
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH")
    devices.share()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    devices.share()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"
