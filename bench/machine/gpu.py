"""The machine's GPUs, as NVML, CUDA and TensorFlow know them.

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
"""Why clocks are lower than they could be, as NVML's nvmlClocksEventReasons names it; not idling, nor a setting."""

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
    """Keeps NVML initialised; the functions of `pynvml` can be called inside.

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
    """NVML's handles of all GPUs, valid inside; none without a driver, or where it refuses one of them."""
    with contextlib.ExitStack() as stack:
        found = []
        with contextlib.suppress(pynvml.NVMLError):
            stack.enter_context(nvml())
            found = _handles()
        yield found


def _handles() -> list[Any]:
    return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]


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


def driver() -> str | None:
    """The driver's version; None without one."""
    try:
        with nvml():
            return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def states() -> list[dict[str, Any]]:
    """Clocks, throttling and other users of each GPU at this moment, as plain values; empty without a driver."""
    with handles() as found:
        return [_state(handle) for handle in found]


def _state(handle: Any) -> dict[str, Any]:
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


def busy_now(seconds: float = 1.2) -> float | None:
    """The share of the time from now on in which the busiest GPU has a kernel running; None without a driver.

    NVML's own window is up to a second (its documentation of nvmlUtilization_t). **Not tried on a GPU.**

    Args:
        seconds: that are waited for where there is a GPU.
    """
    with handles() as found:
        if not found:
            return None
        time.sleep(seconds)
        rates = [asking(handle)("nvmlDeviceGetUtilizationRates") for handle in found]
    return max((rate.gpu / 100 for rate in rates if rate is not None), default=None)


@dataclasses.dataclass(frozen=True)
class Use:
    """What a GPU is kept for and by whom, when this process does not compute on it; None: NVML does not say."""

    name: str
    persistent: bool | None  # the driver stays loaded when nobody uses it
    processes: int | None  # that compute on it
    used_mib: int | None
    throttled_by: tuple[str, ...] | None


def uses() -> list[Use]:
    """How each GPU is used at this moment; empty without a driver.

    **Not tried on a GPU.**
    """
    with handles() as found:
        return [_use(handle) for handle in found]


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
    """Leaves memory of a GPU to other processes; to be called before TensorFlow starts, which else takes all of it."""
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def require() -> str:
    """Has the first GPU compute something, for a run that was meant for a GPU must not pass on a CPU.

    A process of its own computes: in this one a factory may still have to configure the GPU.

    Returns:
        The name that TensorFlow has for the GPU.

    Raises:
        UsageError: there is none, or it does not compute; it says what TensorFlow and NVML see.
    """
    # By default this process would take all memory of the GPU, and those in which loops have faults need some.
    share()
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        raise UsageError(f"--require-gpu: TensorFlow sees no GPU; {_why_none()}")
    path = os.pathsep.join(filter(None, sys.path))  # what can be imported here can be there
    done = subprocess.run(
        [sys.executable, "-c", _COMPUTE], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    said = [line for line in (done.stdout if done.returncode in (0, _REFUSED) else done.stderr).splitlines() if line]
    last = said[-1] if said else ""
    if done.returncode == _REFUSED:
        raise UsageError(last)
    if done.returncode:
        died = f"the process that should compute on it has ended with code {done.returncode}"
        raise UsageError(f"--require-gpu: TensorFlow sees a GPU, and {died}: {last}")
    return last


def compute() -> str:
    """Has the first GPU of this process, which starts TensorFlow's devices, multiply matrices; gives its name.

    Raises:
        UsageError: it does not, or does it wrongly.
    """
    try:
        return devices.multiply("GPU", 0)
    except devices.DeviceError as error:
        raise UsageError(f"--require-gpu: {error}") from None


def _why_none() -> str:
    """What NVML sees, and what can be done about it."""
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
