"""What the machine says at a moment, as plain values; for the sampler, which must start fast and stay small."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
import pynvml

from bench.machine import devices


@contextlib.contextmanager
def gpus() -> Iterator[list[Any]]:
    """NVML's handles of all GPUs that it sees, while it is open; none where it cannot be."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield []
        return
    try:
        yield devices.handles()
    finally:
        pynvml.nvmlShutdown()


def sample(process: psutil.Process, handles: Sequence[Any]) -> dict[str, Any]:
    """A `Sample`.

    Args:
        process: the loop's.
        handles: of GPUs.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    with process.oneshot():
        times, resident = process.cpu_times(), process.memory_info().rss
    return {
        "at": time.monotonic(),
        "cpu_seconds": times.user + times.system,
        "resident_bytes": resident,
        "gpus": [gpu(handle, index, process.pid) for index, handle in enumerate(handles)],
    }


def gpu(handle: Any, index: int, pid: int) -> dict[str, Any]:
    """A `GpuSample`.

    Args:
        handle: of the GPU.
        index: of it, as NVML counts.
        pid: of the loop's process.
    """
    ask = devices.asking(handle)
    place, rates, memory = (ask(f"nvmlDeviceGet{what}") for what in ("PciInfo", "UtilizationRates", "MemoryInfo"))
    milliwatts = ask("nvmlDeviceGetPowerUsage")
    return {
        "index": index,
        "bus": None if place is None else f"{place.domain:04x}:{place.bus:02x}:{place.device:02x}.0",
        "utilisation": None if rates is None else rates.gpu / 100,
        "memory_bytes": None if memory is None else memory.used,
        "process_memory_bytes": _of_process(ask("nvmlDeviceGetComputeRunningProcesses"), pid),
        "watts": None if milliwatts is None else milliwatts / 1000,
        "sm_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
        "memory_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM),
        "celsius": ask("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
        "throttled_by": devices.throttles(ask("nvmlDeviceGetCurrentClocksEventReasons")),
    }


def _of_process(processes: Sequence[Any] | None, pid: int) -> int | None:
    return next((each.usedGpuMemory for each in processes or () if each.pid == pid), None)
