"""The machine's GPUs, as NVML, CUDA and TensorFlow report them.

TensorFlow is imported only where it computes: the telemetry sampler, which needs NVML, must start fast and stay small.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pynvml

from loop_bench.errors import UsageError
from loop_bench.machine import devices

_REASONS = {
    "software power cap": pynvml.nvmlClocksEventReasonSwPowerCap,
    "hardware slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
    "software thermal slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "hardware thermal slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "hardware power brake": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    "sync boost": pynvml.nvmlClocksEventReasonSyncBoost,
}
"""Reasons for low clocks, by NVML's nvmlClocksEventReasons; idling and settings do not count."""

_REFUSED = 2

_COMPUTE = f"""
from loop_bench.errors import UsageError
from loop_bench.machine import gpu
try:
    print(gpu.compute())
except UsageError as error:
    print(error)
    raise SystemExit({_REFUSED})
"""


@contextlib.contextmanager
def nvml() -> Iterator[None]:
    """Keeps NVML initialised, so that functions of `pynvml` can be called inside.

    Raises:
        pynvml.NVMLError: there is no driver.
    """
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


@contextlib.contextmanager
def handles() -> Iterator[list[Any]]:
    """NVML's handles of all GPUs, valid inside; empty without a driver, or where it refuses one of them."""
    with contextlib.ExitStack() as stack:
        gpus = []
        with contextlib.suppress(pynvml.NVMLError):
            stack.enter_context(nvml())
            gpus = _handles()
        yield gpus


def _handles() -> list[Any]:
    return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]


def asking(handle: Any) -> Callable[..., Any]:
    """Returns a caller of NVML functions about a GPU, by name and further arguments; None is what NVML refuses."""

    def ask(name: str, *arguments: Any) -> Any:
        try:
            return getattr(pynvml, name)(handle, *arguments)
        except pynvml.NVMLError:  # each reading by itself: containers and virtual GPUs refuse some of them
            return None

    return ask


def throttles(reasons: int | None) -> list[str] | None:
    """Names of the reasons for low clocks, from nvmlDeviceGetCurrentClocksEventReasons; None if it was refused."""
    return None if reasons is None else [name for name, bit in _REASONS.items() if reasons & bit]


def driver() -> str | None:
    """The driver's version; None without one."""
    try:
        with nvml():
            return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def states() -> list[dict[str, Any]]:
    """Clocks, throttling and other users of each GPU at this moment, as plain values; empty without a driver."""
    with handles() as gpus:
        return [_state(handle) for handle in gpus]


def _state(handle: Any) -> dict[str, Any]:
    ask = asking(handle)
    processes = ask("nvmlDeviceGetComputeRunningProcesses")
    return {
        "name": ask("nvmlDeviceGetName"),
        "sm_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
        "max_sm_mhz": ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM),
        "memory_mhz": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM),
        "throttled_by": throttles(ask("nvmlDeviceGetCurrentClocksEventReasons")),
        # Without this process, which cannot be identified: in a container, process ids are those of the host.
        "other_processes": None if processes is None else max(0, len(processes) - 1),
    }


def busy_now(seconds: float = 1.2) -> float | None:
    """The share of time, from now on, in which the busiest GPU runs a kernel; None without a driver.

    NVML's own window is up to a second (its documentation of nvmlUtilization_t). **Not tried on a GPU.**

    Args:
        seconds: to wait where there is a GPU.
    """
    with handles() as gpus:
        if not gpus:
            return None
        time.sleep(seconds)
        rates = [asking(handle)("nvmlDeviceGetUtilizationRates") for handle in gpus]
    return max((rate.gpu / 100 for rate in rates if rate is not None), default=None)


@dataclasses.dataclass(frozen=True)
class Use:
    """The use of a GPU, when this process does not compute on it; None: NVML does not report it."""

    name: str
    persistent: bool | None  # the driver stays loaded when nobody uses it
    processes: int | None  # that compute on it
    used_mib: int | None
    throttled_by: tuple[str, ...] | None


def uses() -> list[Use]:
    """How each GPU is used at this moment; empty without a driver.

    **Not tried on a GPU.**
    """
    with handles() as gpus:
        return [_use(handle) for handle in gpus]


def _use(handle: Any) -> Use:
    ask = asking(handle)
    persistent, processes, memory = (
        ask(name)
        for name in ("nvmlDeviceGetPersistenceMode", "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetMemoryInfo")
    )
    throttled = throttles(ask("nvmlDeviceGetCurrentClocksEventReasons"))
    return Use(
        name=str(ask("nvmlDeviceGetName")),
        persistent=None if persistent is None else bool(persistent),
        processes=None if processes is None else len(processes),
        used_mib=None if memory is None else memory.used >> 20,
        throttled_by=None if throttled is None else tuple(throttled),
    )


def share() -> None:
    """Leaves GPU memory to other processes; must be called before TensorFlow starts, or it takes all memory."""
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def require() -> str:
    """Requires a GPU that computes, because a run that is meant for a GPU must not pass on a CPU.

    Another process computes, because a factory in this one may still have to configure the GPU.

    Returns:
        The GPU's name in TensorFlow.

    Raises:
        UsageError: there is no GPU, or it does not compute; the message says what TensorFlow and NVML see.
    """
    # By default this process would take all memory of the GPU, and the processes of loops with faults need some.
    share()
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        raise UsageError(f"--require-gpu: TensorFlow sees no GPU; {_why_none()}")
    path = os.pathsep.join(filter(None, sys.path))  # it can import whatever this process can
    done = subprocess.run(
        [sys.executable, "-c", _COMPUTE], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    lines = [line for line in (done.stdout if done.returncode in (0, _REFUSED) else done.stderr).splitlines() if line]
    last = lines[-1] if lines else ""
    if done.returncode == _REFUSED:
        raise UsageError(last)
    if done.returncode:
        died = f"the process that should compute on it has ended with code {done.returncode}"
        raise UsageError(f"--require-gpu: TensorFlow sees a GPU, and {died}: {last}")
    return last


def compute() -> str:
    """Multiplies matrices on this process's first GPU, which starts TensorFlow's devices; returns the GPU's name.

    Raises:
        UsageError: the GPU does not compute, or computes wrongly.
    """
    try:
        return devices.multiply("GPU", 0)
    except devices.DeviceError as error:
        raise UsageError(f"--require-gpu: {error}") from None


def _why_none() -> str:
    """What NVML sees, with advice."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(nvml())
        except pynvml.NVMLError as error:
            return f"NVML finds no driver ({error}): there is no NVIDIA GPU here, or a container was not given it"
        try:
            version = pynvml.nvmlSystemGetDriverVersion()
            names = [str(pynvml.nvmlDeviceGetName(handle)) for handle in _handles()]
        except pynvml.NVMLError as error:
            return f"NVML finds a driver and fails ({error})"
    return f"NVML sees {', '.join(names) or 'none either'} (driver {version}): {_remedy(names)}"


def _remedy(names: list[str]) -> str:
    import tensorflow as tf

    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f"CUDA_VISIBLE_DEVICES={hidden!r} may hide it"
    if not names:
        return "the driver has no GPU to offer"
    if not tf.test.is_built_with_cuda():
        return "this TensorFlow is built without CUDA; install its build with CUDA: pip install 'loop-bench[gpu]'"
    return "TensorFlow's CUDA libraries are missing; the extra gpu brings them: pip install 'loop-bench[gpu]'"
