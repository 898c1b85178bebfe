"""Trying what is planned and not done yet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.document import write_whole
from bench.errors import InvalidRecordError, UsageError
from bench.experiments.survival.plan import Plan
from bench.experiments.survival.trial import Trial, Tried
from bench.jobs import folder as fingerprint
from bench.jobs import pool
from bench.jobs.pool import Death, Job

_WHERE = "environment.json"

_PRELOADED = ("tensorflow", "keras", "bench.experiments.survival.watching")
"""To import these takes longer than most trials; none of them asks for a device yet."""


def run(
    plan: Plan,
    folder: Path,
    environment: dict[str, Any],
    workers: int,
    tell: Callable[[str], None] = lambda title: None,
) -> dict[str, Tried]:
    """Tries all that is planned and not done yet; gives everything that came of it, by the names of the jobs.

    Args:
        plan: what to try.
        folder: for a file a trial. One in which an experiment was interrupted is gone on with.
        environment: this machine and its software.
        workers: processes at a time.
        tell: is told the title of each trial that has come to its end, those that had before among them.

    Raises:
        UsageError: the folder cannot be written, is in use, or holds trials of another machine, software or code;
            or a loop or a fault is not to be had.
    """
    same_environment(folder, {**environment, **_origin(plan)})
    trials = {trial.job.name: trial for trial in plan.trials()}
    work = [trial.job for trial in trials.values()]
    there = {job.name: Tried.read(path) for job in work if (path := pool.result(folder, job)).exists()}
    again = {name for name, tried in there.items() if _deserves_more_time(tried, trials[name])}
    for name in there:
        if name not in again:
            tell(trials[name].job.title)

    def died(job: Job, death: Death) -> str:
        return Tried.died(trials[job.name], death).model_dump_json() + "\n"

    pool.run(work, folder, workers, died, lambda job: tell(job.title), _of_processes(folder), _PRELOADED, again)
    return {job.name: Tried.read(pool.result(folder, job)) for job in work}


def _deserves_more_time(tried: Tried, trial: Trial) -> bool:
    """Whether a trial was ended after less time than it is to have now."""
    return tried.observation.ended == "timed out" and tried.trial.time_limit < trial.time_limit


def _of_processes(folder: Path) -> dict[str, str]:
    """What the trials' processes find in their environment."""
    cache = f'--tf_xla_persistent_cache_directory="{folder.absolute() / "xla"}"'  # TensorFlow splits it at blanks
    own = os.environ.get("TF_XLA_FLAGS", "")
    return {
        **pool.of_loops(),
        # Most of a short run is compilation, and most of what runs compile is the same for all seeds.
        "TF_XLA_FLAGS": f"{own} {cache} --tf_xla_persistent_cache_device_types=CPU".strip(),
    }


def _origin(plan: Plan) -> dict[str, Any]:
    """What the loops are made of."""
    loops = plan.loops.values()
    return fingerprint.of_loops((loop.factory for loop in loops), (loop.options for loop in loops))


def same_environment(folder: Path, environment: dict[str, Any]) -> None:
    """Leaves word in a new folder of where its trials are made, and refuses one in which they were made elsewhere.

    Raises:
        UsageError: they were made elsewhere; it says what differs.
        InvalidRecordError: the word that was left cannot be read.
    """
    path = folder / _WHERE
    # Their code is looked at itself: a commit may change other things, and any file that is written makes it dirty.
    environment = {key: value for key, value in environment.items() if key not in ("commit", "dirty")}
    here = json.dumps(environment, indent=1, sort_keys=True)
    has_trials = any(each != path for each in folder.glob("*.json"))
    # A word of no trials: the command failed before it had any, and what has been mended since may go on.
    if not path.exists() or not has_trials:
        write_whole(path, here)
        return
    try:
        there = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        raise InvalidRecordError(f"{path}: does not say where the trials were made; name a new folder") from None
    now = json.loads(here)  # as it comes back from a file: a tuple as a list
    differing = sorted(key for key in {*there, *now} if there.get(key) != now.get(key))
    if differing:
        raise UsageError(
            f"folder {folder}: its trials were made with another {', '.join(differing)}; name a new folder, or delete "
            "this one"
        )
