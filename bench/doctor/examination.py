"""The examination of an environment and its machine: all findings, in the order in which they are shown."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from loop_bench import extras
from loop_bench.doctor import hardware, null_arm, software, tensorflow_process, variables
from loop_bench.doctor.finding import Finding, Part, State
from loop_bench.doctor.null_arm import NullArm
from loop_bench.machine import cores, driver, processor
from loop_bench.machine.allocator import allocator

if TYPE_CHECKING:
    from loop_bench.machine.gpu import Use

_QUIET = 0.5
"""Seconds for which this process is idle, to see what other programs use."""


class Examination(NamedTuple):
    """The result of an examination."""

    parts: tuple[Part, ...]
    null_arm: NullArm | None  # None: not measured


def examine(
    measure: bool = True,
    tell: Callable[[float], None] = lambda share: None,
    environ: Mapping[str, str] = os.environ,
    wait: Callable[[float], None] = time.sleep,
) -> Examination:
    """Examines everything; TensorFlow, and what is measured with it, run in a process of their own.

    Args:
        measure: whether to time the null arm.
        tell: called with the share of the measurement that is done, 0 when it begins.
        environ: the environment variables.
        wait: sleeps for a number of seconds.
    """
    first = cores.times()
    wait(_QUIET)
    others = cores.shares(first, cores.times())
    gpus = _gpus()  # before a process of this examination uses one
    lacking = null_arm.NEEDS & {*extras.missing("compare")}
    answers = _answers(measure and not lacking, tell)
    total = cores.shares(first, cores.times())
    tensorflow = answers.tensorflow
    measured = NullArm(**answers.null_arm) if isinstance(answers.null_arm, dict) else None
    parts = (
        Part("Software", (software.system(), *software.findings(tensorflow, environ))),
        Part("Machine", tuple(_machine(others, total))),
        Part("Devices", tuple(_devices(tensorflow, gpus, environ))),
        Part("Environment variables", tuple(variables.findings(environ))),
        Part("Noise", (_noise(answers, measure, lacking, measured, total),)),
    )
    return Examination(tuple(part for part in parts if part.findings), measured)


def _answers(measure: bool, tell: Callable[[float], None]) -> tensorflow_process.Answers:
    if extras.missing("tensorflow"):
        return tensorflow_process.Answers("not installed", "needs TensorFlow")
    return tensorflow_process.ask(measure, tell)


def _machine(others: cores.Shares | None, total: cores.Shares | None) -> Iterator[Finding]:
    cpu = processor.processor()
    available = cores.cores()
    average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    yield hardware.processor(cpu)
    yield hardware.cores(available)
    yield hardware.clock(cores.clock(), cores.governors())
    yield hardware.load(others, available.of_machine or 1, average)
    if stolen := hardware.steal(total):
        yield stolen
    yield hardware.allocator(allocator(), cpu["huge_pages"])


def _gpus() -> list[Use] | None:
    """How each GPU is used; None if there is one, but no way to ask."""
    if not driver.has_gpu():
        return []
    try:
        from loop_bench.machine import gpu
    except ImportError:
        return None
    return gpu.uses()


def _devices(
    tensorflow: tensorflow_process.TensorFlow | str, gpus: list[Use] | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    if not isinstance(tensorflow, str):
        yield from hardware.devices(tensorflow, gpus is None or bool(gpus), environ.get("CUDA_VISIBLE_DEVICES"))
    yield from hardware.gpus(gpus)


def _noise(
    answers: tensorflow_process.Answers,
    wanted: bool,
    lacking: frozenset[str],
    measured: NullArm | None,
    total: Any,
) -> Finding:
    """The finding on the null arm, or why it was not measured."""
    if measured:
        return null_arm.finding(measured, total.steal if total else None)
    if not wanted:
        return Finding("null arm", "not measured (--no-measure)")
    if isinstance(answers.tensorflow, str):
        return Finding("null arm", "not measured without TensorFlow")
    if lacking:
        text = f"not measured: {', '.join(sorted(lacking))} not installed"
        return Finding("null arm", text, State.NOTE, "pip install 'loop-bench[compare]'")
    return Finding("null arm", f"measuring it {answers.null_arm}", State.PROBLEM, "report it with these versions")
