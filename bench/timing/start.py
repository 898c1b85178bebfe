"""From nothing to a loop that runs: building, tracing, compiling, the first batch."""

from __future__ import annotations

import time

import tensorflow as tf

from bench.experiments.run.record import Start
from bench.loop import LoopFactory, LoopSpec, TrainingLoop, build
from bench.timing import clock


def warm_up_tensorflow() -> None:
    """Has TensorFlow do what it does once in a process: start its threads, its graphs and its compiler."""
    for compiled in (False, True):
        step = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)), jit_compile=compiled)
        step(tf.ones([64, 64])).numpy()


def start(name: str, factory: LoopFactory, spec: LoopSpec) -> tuple[TrainingLoop, Start]:
    """A loop that has trained its first batch, and how long that took.

    It is a phase of its own, never part of ms/batch: tracing and compilation are in the first batch, or in the
    factory if the loop prefers to do them there.
    """
    clock.fence()
    started = time.perf_counter()
    loop = build(name, factory, spec)
    clock.fence()
    built = time.perf_counter() - started
    return loop, Start(build_seconds=built, first_batch_seconds=clock.seconds_for(loop, 1))
