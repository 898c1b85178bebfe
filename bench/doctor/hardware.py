"""Findings on the machine: processor, cores, clock, what else runs, memory's allocator, and devices."""

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
"""Cores that others may keep busy unsaid."""

_STEAL = 0.01
"""Share of the time that a hypervisor may take unsaid."""

_GLIBC_KEEPS = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"
"""Both are needed for glibc to keep large arrays that are freed (man 3 mallopt)."""

_GPU = "pip install 'loop-bench[gpu]'"


def processor(found: Mapping[str, Any]) -> Finding:
    """The CPU, from what `loop_bench.machine.processor` gives: its name alone would not tell it from others."""
    name, kind = found["name"] or platform.machine() or "unknown", words(dict(found))
    text = f"{name}{f' ({kind})' if kind else ''}"
    if platform.machine() in ("x86_64", "AMD64") and found["virtual"] is not None and "avx" not in found["vectors"]:
        advice = "TensorFlow's own builds end with SIGILL here: another machine, or a build for this one"
        return Finding("CPU", f"{text}, without AVX", State.PROBLEM, advice)
    return Finding("CPU", text)


def cores(found: Cores) -> Finding:
    """The cores that this process may use."""
    usable = found.allowed or found.of_machine or 0
    text = f"{usable} of {found.of_machine or '?'}"
    if found.quota is not None and found.quota < usable:
        advice = "threads are stopped in the midst of a batch: give whole cores (--cpuset-cpus), not shares of them"
        return Finding("cores", f"{text}, a quota of {found.quota:g} CPUs' time", State.NOTE, advice)
    if usable == 1:
        advice = "what feeds the loop waits for it, and it for that: two cores or more"
        return Finding("cores", text, State.NOTE, advice)
    return Finding("cores", f"{text}, {'no quota' if found.quota is None else f'a quota of {found.quota:g}'}")


def clock(found: Clock, governors: Sequence[str]) -> Finding:
    """The clock of the cores, and what chooses it."""
    now = f"{found.now:.0f} MHz" if found.now else "not said"
    highest = f" of {found.highest:.0f}" if found.now and found.highest else ""
    text = f"{now}{highest}, governor {', '.join(governors) or 'not said'}"
    if governors and set(governors) != {"performance"}:
        return Finding("clock", text, State.NOTE, "sudo cpupower frequency-set --governor performance")
    return Finding("clock", text)


def load(found: Shares | None, of_machine: int, average: float | None) -> Finding:
    """What else ran on the machine in a moment in which this process did nothing."""
    past = "" if average is None else f"; load average {average:.2f} in the last minute"
    if found is None:
        return Finding("other programs", f"not known{past}")
    busy = found.busy * of_machine
    text = f"{busy:.1f} of {of_machine} cores busy{past}"
    if busy > _BUSY:
        return Finding("other programs", text, State.NOTE, "they run in the midst of what is timed: `top` names them")
    return Finding("other programs", text)


def steal(found: Shares | None) -> Finding | None:
    """What the hypervisor gave to others; None where that is not known."""
    if found is None:
        return None
    text = f"{found.steal:.1%} of the time"
    if found.steal > _STEAL:
        advice = "other virtual machines on this host take it: a dedicated one, or another hour"
        return Finding("steal", text, State.NOTE, advice)
    return Finding("steal", text)


def allocator(found: Allocator, huge_pages: str | None) -> Finding:
    """What hands out memory, and whether it keeps large arrays or gives them back to the system each time."""
    settings = " ".join(f"{name}={value}" for name, value in found.settings.items())
    text = ", ".join(filter(None, [found.name or "not known", settings, huge_pages and f"huge pages {huge_pages}"]))
    if found.not_loaded:
        advice = "give the path of a library that is there, or unset LD_PRELOAD"
        return Finding("allocator", f"{text}: {', '.join(found.not_loaded)} not loaded", State.PROBLEM, advice)
    keeps = all(found.settings.get(name) for name in _GLIBC_KEEPS) or "GLIBC_TUNABLES" in found.settings
    if (found.name or "").startswith("glibc") and not keeps:
        advice = (
            "if a run's table has hundreds of page faults a batch, measure with "
            f"{' '.join(f'{name}=4294967296' for name in _GLIBC_KEEPS)} as well: freed arrays are then kept"
        )
        return Finding("allocator", text, State.NOTE, advice)
    return Finding("allocator", text)


def devices(found: TensorFlow, has_gpu: bool, hidden: str | None) -> list[Finding]:
    """The devices that TensorFlow computes on.

    Args:
        found: what it says.
        has_gpu: whether the driver has a GPU.
        hidden: CUDA_VISIBLE_DEVICES.
    """
    listed = []
    for number, each in enumerate(found.devices):
        name = f"device {number} ({each.kind})" if len(found.devices) > 1 else f"device {each.kind}"
        if each.problem:
            advice = (
                "nvidia-smi shows who holds its memory; a driver from 525 on is needed for CUDA 12"
                if each.kind == "GPU"
                else 'python -c "import tensorflow" shows all of it'
            )
            listed.append(Finding(name, each.problem, State.PROBLEM, advice))
        else:
            listed.append(Finding(name, "computes" if each.kind == each.name else f"{each.name} computes"))
    if has_gpu and all(each.kind != "GPU" for each in found.devices):
        if hidden is not None:
            text = f"the driver has one, and TensorFlow sees none: CUDA_VISIBLE_DEVICES={hidden!r}"
            listed.append(Finding("GPU", text, State.NOTE, "unset it to measure on the GPU"))
        else:
            why = "its CUDA libraries are missing" if found.cuda else "it is built without CUDA"
            listed.append(Finding("GPU", f"the driver has one, and TensorFlow sees none: {why}", State.PROBLEM, _GPU))
    return listed


def gpus(found: Sequence[Use] | None) -> list[Finding]:
    """The state of each GPU; None: the driver has one, and NVML cannot be asked without pynvml."""
    if found is None:
        advice = "pip install 'loop-bench[compare]'"
        return [Finding("state of the GPU", "not read: nvidia-ml-py is not installed", State.NOTE, advice)]
    return [_gpu(number, each) for number, each in enumerate(found)]


def _gpu(number: int, found: Use) -> Finding:
    used = "" if found.used_mib is None else f", {found.used_mib} MiB in use"
    texts, advice = [f"{found.name}{used}"], []
    if found.processes:
        texts.append(f"{found.processes} other process{'es' if found.processes > 1 else ''}")
        advice.append("nvidia-smi --query-compute-apps=pid,name --format=csv names who else computes")
    if found.throttled_by:
        texts.append(f"clocks lowered by {', '.join(found.throttled_by)}")
        advice.append("cool it, or lock a clock that it can hold (nvidia-smi --lock-gpu-clocks)")
    if found.persistent is False:
        texts.append("persistence off")
        advice.append("sudo nvidia-smi --persistence-mode=1")
    state = State.NOTE if advice else State.OK
    return Finding(f"state of GPU {number}", ", ".join(texts), state, "; ".join(advice))
