"""Findings on the machine: processor, cores, clock, other load, memory allocator, and devices."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loop_bench.doctor.finding import Finding, State
from loop_bench.doctor.tensorflow_process import TensorFlow
from loop_bench.machine.allocator import Allocator
from loop_bench.machine.cores import Clock, Cores, Shares
from loop_bench.machine.processor import words

if TYPE_CHECKING:  # it needs pynvml
    from loop_bench.machine.gpu import Use

_BUSY = 0.25
"""Number of cores that other programs may keep busy without a note."""

_STEAL = 0.01
"""Share of the time that a hypervisor may take without a note."""

_GLIBC_KEEPS = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"
"""Variables with which glibc keeps large arrays that are freed; it needs both (man 3 mallopt)."""

_GPU = "pip install 'loop-bench[gpu]'"


def processor(cpu: Mapping[str, Any]) -> Finding:
    """The CPU, from the values of `loop_bench.machine.processor`: its name alone would not distinguish it."""
    name, kind = cpu["name"] or platform.machine() or "unknown", words(dict(cpu))
    text = f"{name}{f' ({kind})' if kind else ''}"
    if platform.machine() in ("x86_64", "AMD64") and cpu["virtual"] is not None and "avx" not in cpu["vectors"]:
        advice = "TensorFlow's own builds end with SIGILL here: use another machine, or a build for this CPU"
        return Finding("CPU", f"{text}, without AVX", State.PROBLEM, advice)
    return Finding("CPU", text)


def cores(available: Cores) -> Finding:
    """The cores that this process may use."""
    usable = available.allowed or available.of_machine or 0
    text = f"{usable} of {available.of_machine or '?'}"
    if available.quota is not None and available.quota < usable:
        advice = "threads are stopped in the middle of a batch: assign whole cores (--cpuset-cpus), not shares"
        return Finding("cores", f"{text}, a quota of {available.quota:g} CPUs' time", State.NOTE, advice)
    if usable == 1:
        advice = "the loop and its input pipeline wait for each other: use two cores or more"
        return Finding("cores", text, State.NOTE, advice)
    return Finding("cores", f"{text}, {'no quota' if available.quota is None else f'a quota of {available.quota:g}'}")


def clock(clocks: Clock, governors: Sequence[str]) -> Finding:
    """The clock of the cores, and what chooses it."""
    now = f"{clocks.now:.0f} MHz" if clocks.now else "unknown"
    highest = f" of {clocks.highest:.0f}" if clocks.now and clocks.highest else ""
    text = f"{now}{highest}, governor {', '.join(governors) or 'unknown'}"
    if governors and set(governors) != {"performance"}:
        return Finding("clock", text, State.NOTE, "sudo cpupower frequency-set --governor performance")
    return Finding("clock", text)


def load(shares: Shares | None, of_machine: int, average: float | None) -> Finding:
    """What other programs used while this process was idle."""
    past = "" if average is None else f"; load average {average:.2f} in the last minute"
    if shares is None:
        return Finding("other programs", f"unknown{past}")
    busy = shares.busy * of_machine
    text = f"{busy:.1f} of {of_machine} cores busy{past}"
    if busy > _BUSY:
        return Finding("other programs", text, State.NOTE, "they disturb what is timed: `top` names them")
    return Finding("other programs", text)


def steal(shares: Shares | None) -> Finding | None:
    """The time that the hypervisor gave to other machines; None where it is unknown."""
    if shares is None:
        return None
    text = f"{shares.steal:.1%} of the time"
    if shares.steal > _STEAL:
        advice = "other virtual machines on this host take it: use a dedicated machine, or another hour"
        return Finding("steal", text, State.NOTE, advice)
    return Finding("steal", text)


def allocator(found: Allocator, huge_pages: str | None) -> Finding:
    """The memory allocator, and whether it keeps large arrays or returns them to the system each time."""
    settings = " ".join(f"{name}={value}" for name, value in found.settings.items())
    text = ", ".join(filter(None, [found.name or "unknown", settings, huge_pages and f"huge pages {huge_pages}"]))
    if found.not_loaded:
        advice = "give the path of a library that exists, or unset LD_PRELOAD"
        return Finding("allocator", f"{text}: {', '.join(found.not_loaded)} not loaded", State.PROBLEM, advice)
    keeps = all(found.settings.get(name) for name in _GLIBC_KEEPS) or "GLIBC_TUNABLES" in found.settings
    if (found.name or "").startswith("glibc") and not keeps:
        advice = (
            "if a run's table has hundreds of page faults a batch, measure with "
            f"{' '.join(f'{name}=4294967296' for name in _GLIBC_KEEPS)} as well: freed arrays are then kept"
        )
        return Finding("allocator", text, State.NOTE, advice)
    return Finding("allocator", text)


def devices(report: TensorFlow, has_gpu: bool, hidden: str | None) -> list[Finding]:
    """The devices that TensorFlow computes on.

    Args:
        report: TensorFlow's report about itself.
        has_gpu: whether the driver has a GPU.
        hidden: CUDA_VISIBLE_DEVICES.
    """
    listed = []
    for number, each in enumerate(report.devices):
        name = f"device {number} ({each.kind})" if len(report.devices) > 1 else f"device {each.kind}"
        if each.problem:
            advice = (
                "nvidia-smi shows who holds its memory; a driver from 525 on is needed for CUDA 12"
                if each.kind == "GPU"
                else 'python -c "import tensorflow" shows the whole error'
            )
            listed.append(Finding(name, each.problem, State.PROBLEM, advice))
        else:
            listed.append(Finding(name, "computes" if each.kind == each.name else f"{each.name} computes"))
    if has_gpu and all(each.kind != "GPU" for each in report.devices):
        if hidden is not None:
            text = f"the driver has one, and TensorFlow sees none: CUDA_VISIBLE_DEVICES={hidden!r}"
            listed.append(Finding("GPU", text, State.NOTE, "unset it to measure on the GPU"))
        else:
            why = "its CUDA libraries are missing" if report.cuda else "it is built without CUDA"
            listed.append(Finding("GPU", f"the driver has one, and TensorFlow sees none: {why}", State.PROBLEM, _GPU))
    return listed


def gpus(uses: Sequence[Use] | None) -> list[Finding]:
    """The state of each GPU; None: the driver has one, but NVML cannot be asked without pynvml."""
    if uses is None:
        advice = "pip install 'loop-bench[compare]'"
        return [Finding("state of the GPU", "not read: nvidia-ml-py is not installed", State.NOTE, advice)]
    return [_gpu(number, each) for number, each in enumerate(uses)]


def _gpu(number: int, use: Use) -> Finding:
    used = "" if use.used_mib is None else f", {use.used_mib} MiB in use"
    texts, advice = [f"{use.name}{used}"], []
    if use.processes:
        texts.append(f"{use.processes} other process{'es' if use.processes > 1 else ''}")
        advice.append("nvidia-smi --query-compute-apps=pid,name --format=csv names who else computes")
    if use.throttled_by:
        texts.append(f"clocks lowered by {', '.join(use.throttled_by)}")
        advice.append("cool it, or lock a clock that it can hold (nvidia-smi --lock-gpu-clocks)")
    if use.persistent is False:
        texts.append("persistence off")
        advice.append("sudo nvidia-smi --persistence-mode=1")
    state = State.NOTE if advice else State.OK
    return Finding(f"state of GPU {number}", ", ".join(texts), state, "; ".join(advice))
