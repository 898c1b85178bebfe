"""Timing that waits for the device: a clock is read only when no work is in flight."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from loop_bench.failure import blaming
from loop_bench.loop import LoopFactory, LoopSpec, TrainingLoop, build, name_of
from loop_bench.multiworker.task import task

if TYPE_CHECKING:  # it needs pydantic, which the process of an arm need not have
    from loop_bench.timing.samples import Start


def fence() -> None:
    """Waits until every device of this machine has finished its queued work."""
    import tensorflow as tf  # here, because code that only reads records imports this module too

    if task() is None:
        tf.test.experimental.sync_devices()
        return
    # TensorFlow's function syncs the devices of all machines, which works only where one machine controls the others.
    for device in _devices_here():
        with tf.device(device):
            tf.raw_ops.SyncDevice()


@functools.cache
def _devices_here() -> list[str]:
    """Names of this machine's devices in multi-worker training."""
    import tensorflow as tf

    here = tf.constant(0).device.rpartition("/device:")[0]
    names = [device.name for device in tf.config.list_logical_devices()]
    return [name for name in names if name.startswith(f"{here}/")]


def seconds_for(loop: TrainingLoop, batches: int) -> float:
    """Wall-clock seconds in which `loop` trains `batches`, from an idle device to an idle device.

    Timing only the host's calls would measure how fast work is enqueued, which is less than the training time.
    """
    fence()
    started = time.perf_counter()
    loop.run(batches)
    with blaming(f"{name_of(loop)}: run()"):  # an op that failed on a device may raise only here
        fence()
    return time.perf_counter() - started


def warm_up(*builds: Callable[[], object]) -> None:
    """Does a process's one-time work before any loop is timed in it.

    The factories run first: they draw their data and may configure TensorFlow's devices, which the harness does not
    start before the first factory has run. Then TensorFlow starts its threads, its graphs and its compiler.

    Args:
        builds: functions that each build a loop; the loops are discarded.
    """
    for build_loop in builds:
        build_loop()
    import tensorflow as tf

    for compiled in (False, True):
        step = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)), jit_compile=compiled, autograph=False)
        step(tf.ones([64, 64])).numpy()


def start(name: str, factory: LoopFactory, spec: LoopSpec, role: str = "") -> tuple[TrainingLoop, Start]:
    """Starts a loop as `first_batch` does, and returns the times as a `Start`."""
    from loop_bench.timing.samples import Start

    loop, built, first = first_batch(name, factory, spec, role)
    return loop, Start(build_seconds=built, first_batch_seconds=first)


def first_batch(name: str, factory: LoopFactory, spec: LoopSpec, role: str = "") -> tuple[TrainingLoop, float, float]:
    """Builds a loop and trains its first batch; takes the arguments of `build`.

    The first batch is a phase of its own, never part of ms/batch: it contains tracing and compilation, unless the
    loop does them in its factory.

    Returns:
        The loop, the seconds that its factory took, and the seconds of its first batch.
    """
    fence()
    started = time.perf_counter()
    loop = build(name, factory, spec, role)
    fence()
    built = time.perf_counter() - started
    return loop, built, seconds_for(loop, 1)
