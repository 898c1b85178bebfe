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
    """Returns when every device of this machine has done all that was queued on it."""
    import tensorflow as tf  # only here: what is read of records may know this module

    if task() is None:
        tf.test.experimental.sync_devices()
        return
    # TensorFlow's own asks the devices of all machines, which it can only where one of them commands the others.
    for device in _devices_here():
        with tf.device(device):
            tf.raw_ops.SyncDevice()


@functools.cache
def _devices_here() -> list[str]:
    """Names of this machine's devices, where several machines train together."""
    import tensorflow as tf

    here = tf.constant(0).device.rpartition("/device:")[0]
    names = [device.name for device in tf.config.list_logical_devices()]
    return [name for name in names if name.startswith(f"{here}/")]


def seconds_for(loop: TrainingLoop, batches: int) -> float:
    """Wall-clock seconds in which `loop` trains `batches`, from an idle device to an idle device.

    The host's time around a step that only enqueues work would be another quantity, and a smaller one.
    """
    fence()
    started = time.perf_counter()
    loop.run(batches)
    with blaming(f"{name_of(loop)}: run()"):  # an op that a device has refused may say so only now
        fence()
    return time.perf_counter() - started


def warm_up(*builds: Callable[[], object]) -> None:
    """Has a process do what it does only once, for none of the loops that are timed in it.

    First come the factories, which draw their data and may configure TensorFlow's devices: nothing of ours starts these
    before the first factory has run. Then TensorFlow starts its threads, its graphs and its compiler.

    Args:
        builds: each builds a loop, which is forgotten.
    """
    for each in builds:
        each()
    import tensorflow as tf

    for compiled in (False, True):
        step = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)), jit_compile=compiled, autograph=False)
        step(tf.ones([64, 64])).numpy()


def start(name: str, factory: LoopFactory, spec: LoopSpec, role: str = "") -> tuple[TrainingLoop, Start]:
    """A loop that has trained its first batch, and how long that took; see `first_batch`."""
    from loop_bench.timing.samples import Start

    loop, built, first = first_batch(name, factory, spec, role)
    return loop, Start(build_seconds=built, first_batch_seconds=first)


def first_batch(name: str, factory: LoopFactory, spec: LoopSpec, role: str = "") -> tuple[TrainingLoop, float, float]:
    """A loop that has trained its first batch; the arguments are those of `build`.

    It is a phase of its own, never part of ms/batch: tracing and compilation are in the first batch, or in the
    factory if the loop prefers to do them there.

    Returns:
        The loop, the seconds of its factory, and those of its first batch.
    """
    fence()
    started = time.perf_counter()
    loop = build(name, factory, spec, role)
    fence()
    built = time.perf_counter() - started
    return loop, built, seconds_for(loop, 1)
