"""The state of the machine at a moment: clocks, throttling, and who else uses it."""

from __future__ import annotations

import os
from typing import Any

import psutil
import pynvml

_REASONS = {
    "software power cap": pynvml.nvmlClocksEventReasonSwPowerCap,
    "hardware slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
    "software thermal slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "hardware thermal slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "hardware power brake": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    "sync boost": pynvml.nvmlClocksEventReasonSyncBoost,
}
"""Why clocks are lower than they could be, as NVML's nvmlClocksEventReasons names it; not idling, nor a setting."""


def state() -> dict[str, Any]:
    """Load and clocks of the CPU, and of each GPU that NVML sees what it tells; plain values."""
    try:
        frequency = psutil.cpu_freq()
    except OSError:  # some virtual machines have the file and do not let it be read
        frequency = None
    return {
        "load_average": [round(load, 2) for load in os.getloadavg()],  # over 1, 5 and 15 minutes
        "cpu_mhz": round(frequency.current) if frequency else None,
        "gpus": _gpus(),
    }


def _gpus() -> list[dict[str, Any]]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [_gpu(handle) for handle in handles]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _gpu(handle: Any) -> dict[str, Any]:
    def ask(name: str, *arguments: Any) -> Any:
        try:
            return getattr(pynvml, name)(handle, *arguments)
        except pynvml.NVMLError:  # each reading by itself: containers and virtual GPUs refuse some of them
            return None

    reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
    processes = ask("nvmlDeviceGetComputeRunningProcesses")
    return {
        "name": ask("nvmlDeviceGetName"),
        "sm_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
        "max_sm_mhz": ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM),
        "memory_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM),
        "throttled_by": None if reasons is None else [name for name, bit in _REASONS.items() if reasons & bit],
        # Less this one: by their numbers it cannot be told, for in a container they are those of the host.
        "other_processes": None if processes is None else max(0, len(processes) - 1),
    }
