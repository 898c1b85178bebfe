"""Each rung in a process of its own, one after the other, and gone on with after any interruption."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.faults import fingerprint, jobs
from bench.faults.experiment import same_environment
from bench.faults.jobs import Death, Job
from bench.ladders import probe
from bench.ladders.finding import Finding
from bench.ladders.ladder import Ladder
from bench.ladders.probe import Probe


def find(
    ladder: Ladder, folder: Path, environment: dict[str, Any], tell: Callable[[str], None] = lambda name: None
) -> dict[str, Finding]:
    """What there is to find out about the rungs, by their names; what was found before is left alone.

    Args:
        ladder: the rungs.
        folder: for a file a rung.
        environment: this machine and its software.
        tell: is told the name of each rung whose process has come to its end, those that had before among them.

    Raises:
        UsageError: the folder cannot be written, is in use, or is of another machine, software or code; or a loop is
            not to be had.
    """
    same_environment(folder, {**environment, **_origin(ladder)})
    work = {rung.name: Probe.of(ladder, rung).job for rung in ladder.rungs}
    for name, job in work.items():
        if jobs.result(folder, job).exists():
            tell(name)

    def died(job: Job, death: Death) -> str:
        return probe.died(death).model_dump_json() + "\n"

    # One at a time: they are timed.
    jobs.run([*work.values()], folder, 1, died, lambda job: tell(job.title), _of_processes(), probe.PRELOADED)
    return {name: probe.read(jobs.result(folder, job)) for name, job in work.items()}


def _of_processes() -> dict[str, str]:
    """What the processes find in their environment: no cache of compilations, which is a part of their time."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # what can be imported here can be there
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # beside a process that may hold memory itself
    }


def _origin(ladder: Ladder) -> dict[str, Any]:
    """What the loops are made of."""
    scripts = {str(rung.options["script"]) for rung in ladder.rungs if "script" in rung.options}
    return {
        "code of the loops": fingerprint.code(rung.factory for rung in ladder.rungs),
        "script": fingerprint.of_files(map(Path, scripts)),
    }
