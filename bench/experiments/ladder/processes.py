"""Each rung in a process of its own, one after the other, and gone on with after any interruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.experiments.ladder import trial
from bench.experiments.ladder.finding import Finding
from bench.experiments.ladder.plan import Ladder
from bench.experiments.ladder.trial import Probe
from bench.experiments.survival.running import same_environment
from bench.jobs import folder as fingerprint
from bench.jobs import pool
from bench.jobs.pool import Death, Job


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
    made_of = fingerprint.of_loops((each.factory for each in ladder.rungs), (each.options for each in ladder.rungs))
    same_environment(folder, {**environment, **made_of})
    work = {rung.name: Probe.of(ladder, rung).job for rung in ladder.rungs}
    for name, job in work.items():
        if pool.result(folder, job).exists():
            tell(name)

    def died(job: Job, death: Death) -> str:
        return trial.died(death).model_dump_json() + "\n"

    # One at a time, for they are timed; and without a cache of compilations, which are a part of that time.
    pool.run([*work.values()], folder, 1, died, lambda job: tell(job.title), pool.of_loops(), trial.PRELOADED)
    return {name: Finding.read(pool.result(folder, job)) for name, job in work.items()}
