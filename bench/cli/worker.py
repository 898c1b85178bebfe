"""`loop-bench worker`: on each machine but the chief's, of loops that train on several."""

from __future__ import annotations

import os
import sys

import typer

from loop_bench.errors import UsageError
from loop_bench.loop import look_in_current_folder
from loop_bench.multiworker.task import VARIABLE, task


def worker() -> None:
    """Train together with the machine that measures: what the chief does, this process does at the same time.

    For loops under tf.distribute.MultiWorkerMirroredStrategy. Every machine has TF_CONFIG, as TensorFlow's guide to
    distributed training has it; the chief runs `loop-bench run`, or pytest, and each of the others this, from a
    folder with the same code. It waits ten minutes for the chief, and ends with the run.

    The chief is met at the port that lies 1000 above that of its TensorFlow; LOOP_BENCH_CONTROL=HOST:PORT on all
    machines names another. Like TensorFlow's own ports, it is for a network that is trusted.

    Example: TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index":
    1}}' loop-bench worker
    """
    own = task()
    if own is None:
        raise UsageError(f"{VARIABLE}: names no other machine; it must say which trains with which")
    if own.is_chief:
        raise UsageError(f"{VARIABLE}: this is the chief, which measures; here: loop-bench run")
    from loop_bench.multiworker.follower import follow  # it imports TensorFlow

    look_in_current_folder()
    follow(own, lambda words: typer.echo(f"loop-bench worker: {words}"))
    sys.stdout.flush()
    os._exit(0)  # TensorFlow's server would wait for the chief's, which is gone
