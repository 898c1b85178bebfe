"""Loops × faults × seeds: which loop lives."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field

from bench.document import Document, Frozen, write_whole
from bench.errors import InvalidRecordError, UsageError
from bench.experiments.run.record import ARMS, Count, Survival
from bench.experiments.survival.fault import Fault
from bench.experiments.survival.observation import PATIENCE, Ended, Observation, horizon
from bench.experiments.survival.outcome import judge, pace
from bench.experiments.survival.trial import Trial, Tried
from bench.jobs import folder as fingerprint
from bench.jobs import pool
from bench.jobs.pool import Death, Job

SCHEMA: Final = 2

_WHERE = "environment.json"

_PRELOADED = ("tensorflow", "keras", "bench.experiments.survival.watching")
"""To import these takes longer than most trials; none of them asks for a device yet."""


class Loop(Frozen):
    """One of those that are compared."""

    factory: str
    options: dict[str, Any] = Field(default_factory=dict)
    faults: tuple[str, ...]  # that it is put through
    most_seeds: Count | None = None  # from the first so many only


class Plan(Frozen):
    """What is to be tried.

    Every loop runs with each of its faults, and once without, from every seed.
    """

    loops: dict[str, Loop]  # those of ARMS, and what is between them
    preset: str
    seeds: tuple[Count, ...]
    epochs: Count = 0  # that each arm is to train without a fault besides; 0: none
    time_limit: Annotated[float, Field(gt=0)] = 300.0  # seconds for a run; for a long one without a fault, an epoch

    def clean(self, loop: str, seed: int) -> Trial:
        """The run that those of a loop from a seed are compared with: as long as the longest of them can be."""
        faults = [Fault.parse(text) for text in self.loops[loop].faults]
        return self._trial(loop, seed, batches=PATIENCE + max(map(horizon, faults), default=1))

    def faulty(self, loop: str, seed: int, fault: str) -> Trial:
        """A run with a fault."""
        return self._trial(loop, seed, fault=fault, batches=horizon(Fault.parse(fault)))

    def undisturbed(self, loop: str, seed: int) -> Trial:
        """A long run without one."""
        return self._trial(loop, seed, epochs=self.epochs, time_limit=self.time_limit * max(1, self.epochs))

    def only(self, faults: tuple[str, ...], loops: Iterable[str]) -> Self:
        """The same with these faults of these loops, and no others."""
        chosen = {name: self.loops[name].model_copy(update={"faults": faults}) for name in loops}
        return self.model_copy(update={"loops": chosen})

    def seeds_of(self, loop: str) -> tuple[int, ...]:
        """From which one of the loops starts."""
        return self.seeds[: self.loops[loop].most_seeds]

    def trials(self) -> list[Trial]:
        """All of them, so ordered that each seed is complete before the next one."""
        found = []
        for seed in self.seeds:
            for name, loop in self.loops.items():
                if seed not in self.seeds_of(name):
                    continue
                found += [self.clean(name, seed), *(self.faulty(name, seed, fault) for fault in loop.faults)]
                found += [self.undisturbed(name, seed)] if self.epochs and name in ARMS else []
        return found

    def _trial(self, loop: str, seed: int, **what: Any) -> Trial:
        of = self.loops[loop]
        shared = {"preset": self.preset, "seed": seed, "options": of.options, "time_limit": self.time_limit}
        return Trial(loop=loop, factory=of.factory, **{**shared, **what})


def canonical(faults: Iterable[str]) -> tuple[str, ...]:
    """The texts of faults as faults write them themselves, each once.

    Raises:
        UsageError: one is no fault.
    """
    return tuple(dict.fromkeys(str(Fault.parse(text)) for text in faults))


class Undisturbed(Frozen):
    """A long run without a fault."""

    seed: int
    ended: Ended
    why: str
    batches: Count  # that it came to
    first_bad: int | None  # the first batch after which a number was not finite

    @classmethod
    def of(cls, seed: int, seen: Observation) -> Self:
        """What is kept of what was seen."""
        return cls(seed=seed, ended=seen.ended, why=seen.why, batches=seen.batches, first_bad=seen.first_bad)

    @property
    def died(self) -> bool:
        """Whether it crashed or went on with numbers that are not finite."""
        return self.ended == "crashed" or self.first_bad is not None


Curves = dict[str, dict[str, tuple[tuple[float, ...], ...]]]
"""By fault (empty: without one) and metric: [seeds][batches], a series as long as its run."""

PACE = "step of the weights hit / usual step"
"""Beside the metrics: see `outcome.pace`. A loop that is frozen shows it here, and often nowhere else."""


class SurvivalRecord(Document):
    """What an experiment has found."""

    title: ClassVar[str] = "survival record"

    kind: Literal["survival"] = "survival"
    schema_version: Literal[2] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    plan: Plan
    seconds: float  # of all processes together
    survivals: dict[str, tuple[Survival, ...]]  # by loop
    undisturbed: dict[str, tuple[Undisturbed, ...]]  # by loop
    curves: dict[str, Curves]  # by loop, for some faults

    @classmethod
    def of(
        cls, plan: Plan, tried: Mapping[str, Tried], environment: dict[str, Any], shown: tuple[str, ...] = ()
    ) -> Self:
        """Judges what was tried.

        Args:
            plan: all of which has been.
            tried: by the names of the trials' jobs.
            environment: in which they were.
            shown: faults whose metrics are kept batch by batch.
        """

        def seen(trial: Trial) -> Observation:
            return tried[trial.job.name].observation

        survivals, undisturbed, curves = {}, {}, {}
        for name, loop in plan.loops.items():
            cleans = {seed: seen(plan.clean(name, seed)) for seed in plan.seeds_of(name)}
            survivals[name] = tuple(
                judge(seen(plan.faulty(name, seed, fault)), cleans[seed], Fault.parse(fault), seed)
                for fault in loop.faults
                for seed in plan.seeds_of(name)
            )
            if plan.epochs and name in ARMS:
                undisturbed[name] = tuple(
                    Undisturbed.of(seed, seen(plan.undisturbed(name, seed))) for seed in plan.seeds_of(name)
                )
            kept = [fault for fault in shown if fault in loop.faults]
            if kept:
                curves[name] = {"": _metrics(list(cleans.values()))}
            for fault in kept:
                runs = {seed: seen(plan.faulty(name, seed, fault)) for seed in plan.seeds_of(name)}
                # A process that was killed has left no steps.
                paces = [pace(run, cleans[seed], Fault.parse(fault)) if run.steps else () for seed, run in runs.items()]
                curves[name][fault] = {PACE: _short(paces), **_metrics(list(runs.values()))}
        return cls(
            created=datetime.datetime.now(datetime.UTC),
            environment=environment,
            plan=plan,
            seconds=sum(each.seconds for each in tried.values()),
            survivals=survivals,
            undisturbed=undisturbed,
            curves=curves,
        )


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


def _metrics(runs: list[Observation]) -> dict[str, tuple[tuple[float, ...], ...]]:
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    return {name: _short([run.metrics.get(name, ()) for run in runs]) for name in names}


def _short(series: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    """Four digits of the numbers: they are for a picture."""
    return tuple(tuple(float(f"{value:.4g}") for value in each) for each in series)
