"""From nothing to a loop that runs: building, tracing, compiling, the first batch."""

from __future__ import annotations

import time

from bench import clock
from bench.loop import LoopFactory, LoopSpec, TrainingLoop, build
from bench.record import Start


def start(name: str, factory: LoopFactory, spec: LoopSpec) -> tuple[TrainingLoop, Start]:
    """A loop that has trained its first batch, and how long that took.

    The first batch is a phase of its own, with tracing and compilation in it; it is never part of ms/batch.
    """
    clock.fence()
    started = time.perf_counter()
    loop = build(name, factory, spec)
    clock.fence()
    built = time.perf_counter() - started
    return loop, Start(build_seconds=built, first_batch_seconds=clock.seconds_for(loop, 1))
