"""The state of the machine at a moment: clocks, throttling, and who else uses it."""

from __future__ import annotations

import os
from collections.abc import Callable
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


def share() -> None:
    """Leaves memory of a GPU to other processes; to be called before TensorFlow starts, which else takes all of it."""
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


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
        return [_gpu(handle) for handle in handles()]
    finally:
        pynvml.nvmlShutdown()


def handles() -> list[Any]:
    """NVML's handles of the GPUs that it sees, once it was initialised; none where it refuses one."""
    try:
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


def asking(handle: Any) -> Callable[..., Any]:
    """A way to ask NVML about a GPU, by the name of its function and further arguments; None is what it refuses."""

    def ask(name: str, *arguments: Any) -> Any:
        try:
            return getattr(pynvml, name)(handle, *arguments)
        except pynvml.NVMLError:  # each reading by itself: containers and virtual GPUs refuse some of them
            return None

    return ask


def throttles(reasons: int | None) -> list[str] | None:
    """The names of what keeps clocks low, from what nvmlDeviceGetCurrentClocksEventReasons gives, or refuses to."""
    return None if reasons is None else [name for name, bit in _REASONS.items() if reasons & bit]


def _gpu(handle: Any) -> dict[str, Any]:
    ask = asking(handle)
    processes = ask("nvmlDeviceGetComputeRunningProcesses")
    return {
        "name": ask("nvmlDeviceGetName"),
        "sm_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
        "max_sm_mhz": ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM),
        "memory_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM),
        "throttled_by": throttles(ask("nvmlDeviceGetCurrentClocksEventReasons")),
        # Less this one: by their numbers it cannot be told, for in a container they are those of the host.
        "other_processes": None if processes is None else max(0, len(processes) - 1),
    }
