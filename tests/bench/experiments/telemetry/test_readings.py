import psutil
import pynvml
import pytest

from bench.experiments.telemetry import readings
from bench.experiments.telemetry.record import GpuSample, Sample

REFUSED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def read(pid=2):
    with readings.gpus() as handles:
        return readings.gpu(*handles, 0, pid)


def test_what_nvml_tells(nvml):
    assert read() == {
        "index": 0,
        "bus": "0000:1b:00.0",
        "utilisation": 0.63,
        "memory_bytes": 30,
        "process_memory_bytes": 20,
        "watts": 345.6,
        "sm_mhz": 1200,
        "memory_mhz": 2619,
        "celsius": 61,
        "throttled_by": ["software power cap"],  # idling is no throttling
    }


READINGS = {
    "nvmlDeviceGetPciInfo": {"bus"},
    "nvmlDeviceGetUtilizationRates": {"utilisation"},
    "nvmlDeviceGetMemoryInfo": {"memory_bytes"},
    "nvmlDeviceGetComputeRunningProcesses": {"process_memory_bytes"},
    "nvmlDeviceGetPowerUsage": {"watts"},
    "nvmlDeviceGetClockInfo": {"sm_mhz", "memory_mhz"},
    "nvmlDeviceGetTemperature": {"celsius"},
    "nvmlDeviceGetCurrentClocksEventReasons": {"throttled_by"},
}


@pytest.mark.parametrize("refused", READINGS)
def test_one_that_nvml_refuses_is_none_and_the_others_stay(nvml, refused):
    whole = read()
    nvml[refused] = REFUSED
    assert {key for key, value in read().items() if value != whole[key]} == READINGS[refused]
    assert {read()[key] for key in READINGS[refused]} == {None}


def test_in_a_container_nvml_knows_processes_by_other_numbers(nvml):
    assert read(pid=3)["process_memory_bytes"] is None


def test_a_gpu_that_tells_nothing_is_a_sample_still(nvml):
    nvml.update(dict.fromkeys(READINGS, REFUSED))
    assert GpuSample(**read()) == GpuSample(index=0)


def test_a_sample_of_this_process(nvml):
    with readings.gpus() as handles:
        found = Sample(**readings.sample(psutil.Process(), handles))
    assert found.cpu_seconds > 0
    assert found.resident_bytes > 2**20
    assert [gpu.watts for gpu in found.gpus] == [345.6]


@pytest.mark.parametrize("refused", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_without_nvml_there_are_no_gpus(nvml, refused):
    nvml[refused] = REFUSED
    with readings.gpus() as handles:
        assert handles == []
