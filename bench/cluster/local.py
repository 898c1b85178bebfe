"""A Dask cluster on this machine."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from typing import Any

MACHINE, GPU = "MACHINE", "GPU"
"""Resources that workers declare: one worker per host declares MACHINE; each with a GPU of its own declares GPU."""

_IGNORE_INTERRUPT = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""Ctrl-C is handled by the process of the command, which ends the workers."""


@contextlib.contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Starts a scheduler and single-threaded workers, each a process on this machine; the first one declares MACHINE.

    Args:
        workers: number of workers.

    Returns:
        A `distributed.SpecCluster`, closed on leaving.
    """
    from distributed import Nanny, Scheduler, SpecCluster

    from loop_bench.machine.gpu import states

    def options(place: int) -> dict[str, Any]:
        resources = {MACHINE: 1.0} if place == 0 else {}
        # Trials see all GPUs of this machine, so only one trial at a time may use them.
        resources |= {GPU: 1.0} if place == 0 and states() else {}
        return {
            "nthreads": 1,
            "memory_limit": None,  # it would limit Dask's own process, not the trials
            "resources": resources,
            "name": f"{place}",
            "preload": [_IGNORE_INTERRUPT],
            "local_directory": folder,
            "dashboard": False,
            "silence_logs": logging.CRITICAL,
        }

    with (
        tempfile.TemporaryDirectory(prefix="loop-bench-", ignore_cleanup_errors=True) as folder,
        SpecCluster(
            workers={place: {"cls": Nanny, "options": options(place)} for place in range(workers)},
            scheduler={
                "cls": Scheduler,
                "options": {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": ":0"},
            },
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster
