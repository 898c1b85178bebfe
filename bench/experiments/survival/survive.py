"""The survival experiment from beginning to end: what is to be tried, trying it, and what it leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.experiments.survival import outcome, running
from bench.experiments.survival.plan import Plan
from bench.experiments.survival.record import SurvivalRecord
from bench.machine import gpu
from bench.machine.environment import environment

MEMORY = 2 * 2**30
"""Bytes for a process: TensorFlow with a small model takes about one."""


def workers() -> int:
    """Processes at a time that do not get in each other's way: each has a core and its share of memory.

    One where they would share a GPU's memory.
    """
    if gpu.states():
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), int(psutil.virtual_memory().available) // MEMORY))


def survive(
    plan: Plan,
    folder: Path,
    at_a_time: int,
    shown: tuple[str, ...] = (),
    tell: Callable[[str], None] = lambda title: None,
) -> SurvivalRecord:
    """Tries what is planned and not done yet, and judges all of it.

    Args:
        plan: what to try.
        folder: for a folder `trials`; one in which they were interrupted is gone on with.
        at_a_time: processes.
        shown: faults whose metrics are kept batch by batch.
        tell: is told the title of each trial that is done.

    Raises:
        UsageError: see `experiment.run`.
    """
    here = environment()
    tried = running.run(plan, folder / "trials", here, at_a_time, tell)
    return outcome.record(plan, tried, here, shown)
