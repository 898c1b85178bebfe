"""`loop-bench worker`: run on every machine except the chief when loops train on several machines."""

from __future__ import annotations

import os
import sys

import typer

from loop_bench.errors import UsageError
from loop_bench.loop import look_in_current_folder
from loop_bench.multiworker.task import VARIABLE, task


def worker() -> None:
    """Train together with the machine that measures: what the chief does, this process does at the same time.

    For loops under tf.distribute.MultiWorkerMirroredStrategy. Every machine sets TF_CONFIG as TensorFlow's guide to
    distributed training describes; the chief runs `loop-bench run` or pytest, and each other machine runs this command
    from a folder with the same code. It waits up to ten minutes for the chief, and ends with the run.

    Workers connect to the chief at the port of its TensorFlow plus 1000; LOOP_BENCH_CONTROL=HOST:PORT on all machines
    names another address. Like TensorFlow's own ports, this port is meant for a trusted network.

    Example: TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index":
    1}}' loop-bench worker
    """
    own = task()
    if own is None:
        raise UsageError(f"{VARIABLE}: names no other machine; it must list all machines that train together")
    if own.is_chief:
        raise UsageError(f"{VARIABLE}: this machine is the chief, which measures; run loop-bench run here")
    from loop_bench.multiworker.follower import follow  # it imports TensorFlow

    look_in_current_folder()
    follow(own, lambda words: typer.echo(f"loop-bench worker: {words}"))
    sys.stdout.flush()
    os._exit(0)  # TensorFlow's server would wait for the chief's server, which has ended
