"""The process that samples the machine while a loop trains in another one: JSON, a line a sample.

    python -m loop_bench.experiments.telemetry.sampler PID SECONDS

A process and no thread: a thread would take turns with the loop's for Python's lock. It must start fast and stay
small, so it imports neither TensorFlow nor what records need. It ends when its standard input does, which the system
sees to however its parent dies, or when the process that it samples is gone.
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
    """A process and the GPUs at this moment, as plain values of a `Sample`.

    Args:
        process: the loop's.
        handles: NVML's, of all GPUs.

    Raises:
        psutil.NoSuchProcess: the process is gone.
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
    """A GPU at this moment, as plain values of a `GpuSample`.

    Args:
        handle: NVML's, of the GPU.
        index: the GPU's number, as NVML counts.
        pid: of the loop's process.
    """
    ask = gpu.asking(handle)
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
        "throttled_by": gpu.throttles(ask("nvmlDeviceGetCurrentClocksEventReasons")),
    }


def _of_process(processes: Sequence[Any] | None, pid: int) -> int | None:
    return next((each.usedGpuMemory for each in processes or () if each.pid == pid), None)


def moments(interval: float, parent: int) -> Iterator[None]:
    """Yields when a sample is due: at once, then every `interval` seconds; moments that were missed are left out.

    Ends when standard input does, or `parent` is not the parent any more.
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
    """Prints samples of the process that the first argument names, the second being the seconds between two."""
    try:
        process = psutil.Process(int(arguments[0]))
        with gpu.handles() as handles:
            for _ in moments(float(arguments[1]), os.getppid()):
                print(json.dumps(sample(process, handles)), flush=True)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
