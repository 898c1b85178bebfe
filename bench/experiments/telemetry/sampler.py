"""The program that samples a process in which a loop trains, and the GPUs; prints one line of JSON per sample.

    python -m loop_bench.experiments.telemetry.sampler PID SECONDS

It is a process because a thread would compete with the loop for Python's lock. It must start fast and stay small, so it
imports neither TensorFlow nor pydantic. It ends when its standard input is closed, which happens however its parent
dies, or when the sampled process has ended.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
import pynvml

from loop_bench.machine import gpu


def sample(process: psutil.Process, handles: Sequence[Any]) -> dict[str, Any]:
    """Samples a process and the GPUs; returns the fields of a `Sample`.

    Args:
        process: the loop's process.
        handles: NVML's handles of all GPUs.

    Raises:
        psutil.NoSuchProcess: the process has ended.
    """
    with process.oneshot():
        times, resident = process.cpu_times(), process.memory_info().rss
    return {
        "at": time.monotonic(),
        "cpu_seconds": times.user + times.system,
        "resident_bytes": resident,
        "gpus": [gpu_sample(handle, index, process.pid) for index, handle in enumerate(handles)],
    }


def gpu_sample(handle: Any, index: int, pid: int) -> dict[str, Any]:
    """Samples a GPU; returns the fields of a `GpuSample`.

    Args:
        handle: NVML's handle of the GPU.
        index: the GPU's number, as NVML counts.
        pid: the loop's process.
    """
    ask = gpu.asking(handle)
    pci, rates, memory = (ask(f"nvmlDeviceGet{query}") for query in ("PciInfo", "UtilizationRates", "MemoryInfo"))
    milliwatts = ask("nvmlDeviceGetPowerUsage")
    return {
        "index": index,
        "bus": None if pci is None else f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0",
        "utilisation": None if rates is None else rates.gpu / 100,
        "memory_bytes": None if memory is None else memory.used,
        "process_memory_bytes": _of_process(ask("nvmlDeviceGetComputeRunningProcesses"), pid),
        "watts": None if milliwatts is None else milliwatts / 1000,
        "sm_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
        "memory_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM),
        "celsius": ask("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
        "throttled_by": gpu.throttles(ask("nvmlDeviceGetCurrentClocksEventReasons")),
    }


def _of_process(processes: Sequence[Any] | None, pid: int) -> int | None:
    return next((each.usedGpuMemory for each in processes or () if each.pid == pid), None)


def moments(interval: float, parent: int) -> Iterator[None]:
    """Yields when a sample is due: at once, then every `interval` seconds; missed moments are skipped.

    It ends when standard input is closed, or when `parent` is no longer the parent.
    """
    due = time.monotonic()
    while os.getppid() == parent:
        yield
        now = time.monotonic()
        due += interval * max(1, -(-(now - due) // interval))
        ended, _, _ = select.select([0], [], [], due - now)
        if ended and not os.read(0, 1):
            return


def main(arguments: list[str]) -> None:
    """Prints samples of the process whose id is the first argument, at the interval in the second, in seconds."""
    try:
        process = psutil.Process(int(arguments[0]))
        with gpu.handles() as handles:
            for _ in moments(float(arguments[1]), os.getppid()):
                print(json.dumps(sample(process, handles)), flush=True)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
