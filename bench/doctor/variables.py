"""Findings on environment variables that change what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loop_bench.doctor.finding import Finding, State


def _changes_what_is_measured(effect: str) -> Callable[[str], tuple[State, str]]:
    return lambda value: (State.NOTE, f"{effect}; set it in every run that is compared, or in none")


def _waits(value: str) -> tuple[State, str]:
    if value in ("", "0"):
        return State.OK, ""
    return State.PROBLEM, "the host waits for each kernel, so that no time is that of training: unset it"


def _onednn(value: str) -> tuple[State, str]:
    if value not in ("0", "false"):
        return State.OK, ""
    return State.NOTE, "TensorFlow's slower CPU kernels are measured: unset it, unless training sets it too"


def _growth(value: str) -> tuple[State, str]:
    if value == "true":
        return State.OK, ""
    return State.NOTE, "one process takes all memory of a GPU, and trials beside it get none: set it to true"


def _flags(value: str) -> tuple[State, str]:
    if "dump" in value:
        return State.NOTE, "writing what XLA compiles takes time: unset it to measure"
    return _changes_what_is_measured("it changes how XLA compiles")(value)


def _debugging(value: str) -> tuple[State, str]:
    return (State.NOTE, "Python's own checks take time: unset it to measure") if value else (State.OK, "")


def _plain(value: str) -> tuple[State, str]:
    return State.OK, ""


VARIABLES: dict[str, Callable[[str], tuple[State, str]]] = {
    "TF_USE_LEGACY_KERAS": _plain,
    "TF_FORCE_GPU_ALLOW_GROWTH": _growth,
    "TF_GPU_ALLOCATOR": _changes_what_is_measured("it chooses the allocator of GPU memory"),
    "TF_ENABLE_ONEDNN_OPTS": _onednn,
    "TF_CPP_MIN_LOG_LEVEL": _plain,
    "TF_XLA_FLAGS": _flags,
    "XLA_FLAGS": _flags,
    "TF_DETERMINISTIC_OPS": _changes_what_is_measured("it makes kernels deterministic, and some of them slower"),
    "TF_NUM_INTRAOP_THREADS": _changes_what_is_measured("it sets the number of threads"),
    "TF_NUM_INTEROP_THREADS": _changes_what_is_measured("it sets the number of threads"),
    "OMP_NUM_THREADS": _changes_what_is_measured("it sets the number of threads"),
    "NVIDIA_TF32_OVERRIDE": _changes_what_is_measured("it decides in which precision GPUs multiply"),
    "CUDA_VISIBLE_DEVICES": _plain,
    "CUDA_LAUNCH_BLOCKING": _waits,
    "PYTHONDEVMODE": _debugging,
    "PYTHONMALLOC": _debugging,
}
"""By variable, a function of its value that returns how much it matters, and what to do about it."""


def findings(environ: Mapping[str, str]) -> list[Finding]:
    """A finding for each variable that is set, or one that says that none is."""
    listed = []
    for name, judge in VARIABLES.items():
        if (value := environ.get(name)) is not None:
            listed.append(Finding(name, repr(value), *judge(value)))
    return listed or [Finding("variables", "none is set that changes what is measured")]
