"""The process that looks on, `python -m bench.experiments.telemetry.sampler PID SECONDS`: JSON, a line a sample.

A process and no thread: a thread would take turns with the loop's for Python's lock. It ends when its standard input
does, which the system sees to however its parent dies, or when the process that it looks at is gone.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterator

import psutil

from bench.experiments.telemetry import readings


def moments(interval: float, parent: int) -> Iterator[None]:
    """Comes round every `interval` seconds, at once first; those that were missed are left out.

    Ends when standard input does, or `parent` is not the parent any more.
    """
    due = time.monotonic()
    while os.getppid() == parent:
        yield
        now = time.monotonic()
        due += interval * max(1, -(-(now - due) // interval))
        ended, _, _ = select.select([0], [], [], due - now)
        if ended and not os.read(0, 1):
            return


def main(arguments: list[str]) -> None:
    """Prints samples of the process that the first argument names, the second being the seconds between two."""
    try:
        process = psutil.Process(int(arguments[0]))
        with readings.gpus() as handles:
            for _ in moments(float(arguments[1]), os.getppid()):
                print(json.dumps(readings.sample(process, handles)), flush=True)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
