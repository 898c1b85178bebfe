import os
import subprocess
import sys
from pathlib import Path

import psutil
import pynvml
import pytest

from loop_bench.experiments.telemetry import sampler
from loop_bench.experiments.telemetry.record import GpuSample, Sample
from loop_bench.machine import gpu

REFUSED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def read(pid=2):
    with gpu.handles() as handles:
        return sampler.gpu_sample(*handles, 0, pid)


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
    with gpu.handles() as handles:
        found = Sample(**sampler.sample(psutil.Process(), handles))
    assert found.cpu_seconds > 0
    assert found.resident_bytes > 2**20
    assert [each.watts for each in found.gpus] == [345.6]


@pytest.mark.parametrize("refused", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_without_nvml_there_are_no_gpus(nvml, refused):
    nvml[refused] = REFUSED
    with gpu.handles() as handles:
        assert handles == []


ROOT = Path(__file__).parents[4]


def begin(pid, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "loop_bench.experiments.telemetry.sampler", str(pid), "0.01"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, **options,
    )  # fmt: skip


def test_a_real_one_samples_until_its_input_ends():
    with begin(os.getpid()) as process:
        found = [Sample.model_validate_json(process.stdout.readline()) for _ in range(5)]
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, b"")
    times = [each.at for each in found]
    assert times == sorted({*times})
    assert all(each.cpu_seconds > 0 and each.resident_bytes > 0 for each in found)


def test_it_ends_with_the_process_that_it_looks_at():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as watched, begin(watched.pid) as process:
        assert process.stdout.readline()
        watched.communicate()
        assert process.wait(10) == 0


def test_it_imports_neither_tensorflow_nor_what_records_need():
    script = "import sys, loop_bench.experiments.telemetry.sampler as _\n"
    script += "assert not {'tensorflow', 'numpy', 'pydantic'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for waiting, each time as long as asked for and as `late` says; waits are kept."""

    class Clock:
        now, late, waits, input_ends = 100.0, 0.0, (), False

        def select(self, readers, writers, others, timeout):
            self.waits = (*self.waits, timeout)
            self.now += timeout + self.late
            return ([0] if self.input_ends else []), [], []

    made = Clock()
    monkeypatch.setattr(sampler.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(sampler.select, "select", made.select)
    monkeypatch.setattr(sampler.os, "read", lambda file, count: b"")
    return made


def take(count, clock):
    comes = sampler.moments(1.0, os.getppid())
    return [(next(comes), clock.now)[1] for _ in range(count)]


def test_the_first_comes_at_once_and_the_others_in_time(clock):
    assert take(4, clock) == [100.0, 101.0, 102.0, 103.0]


def test_lateness_does_not_add_up(clock):
    clock.late = 0.25
    assert take(4, clock) == [100.0, 101.25, 102.25, 103.25]
    assert clock.waits == (1.0, 0.75, 0.75)


def test_what_was_missed_is_left_out(clock):
    clock.late = 2.5
    assert take(3, clock) == [100.0, 103.5, 106.5]


def test_none_come_when_input_has_ended_or_the_parent_has_gone(clock):
    clock.input_ends = True
    assert len([*sampler.moments(1.0, os.getppid())]) == 1
    assert [*sampler.moments(1.0, os.getppid() + 1)] == []
