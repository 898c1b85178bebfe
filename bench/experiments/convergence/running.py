"""An experiment on convergence from beginning to end: trying what is not done yet, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.experiments.convergence.plan import Plan
from bench.experiments.convergence.record import ConvergenceRecord
from bench.experiments.convergence.trial import PRELOADED, Tried
from bench.experiments.survival.running import same_environment
from bench.jobs import folder as fingerprint
from bench.jobs import pool
from bench.jobs.pool import Death, Job
from bench.machine.environment import environment

TRIALS = "trials"


def converge(
    plan: Plan, folder: Path, at_a_time: int, tell: Callable[[str], None] = lambda title: None
) -> ConvergenceRecord:
    """Tries what is planned and not done yet; gives all of it.

    Args:
        plan: what to try.
        folder: for a folder `trials`; one in which they were interrupted is gone on with.
        at_a_time: processes.
        tell: is told the title of each run that has come to its end, those that had before among them.

    Raises:
        UsageError: the folder cannot be written, is in use, or holds runs of another machine, software or code; or a
            loop is not to be had, or does not say how good it is.
    """
    here = environment()
    return ConvergenceRecord.of(plan, _tried(plan, folder / TRIALS, here, at_a_time, tell), here)


def _tried(
    plan: Plan, folder: Path, here: dict[str, Any], at_a_time: int, tell: Callable[[str], None]
) -> dict[str, Tried]:
    loops = plan.loops.values()
    made_of = fingerprint.of_loops((loop.factory for loop in loops), (loop.options for loop in loops))
    same_environment(folder, {**here, **made_of})
    trials = {trial.job.name: trial for trial in plan.trials()}
    work = [trial.job for trial in trials.values()]
    there = {job.name: Tried.read(path) for job in work if (path := pool.result(folder, job)).exists()}
    again = {name for name, tried in there.items() if _deserves_more_time(tried, plan)}
    for name in there:
        if name not in again:
            tell(trials[name].job.title)

    def died(job: Job, death: Death) -> str:
        return Tried.died(trials[job.name], death).model_dump_json() + "\n"

    pool.run(work, folder, at_a_time, died, lambda job: tell(job.title), pool.of_loops(), PRELOADED, again)
    return {job.name: Tried.read(pool.result(folder, job)) for job in work}


def _deserves_more_time(tried: Tried, plan: Plan) -> bool:
    """Whether a run was ended after less time than it is to have now."""
    return tried.course.ended == "timed out" and tried.trial.time_limit < plan.time_limit
