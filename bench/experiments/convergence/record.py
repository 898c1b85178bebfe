"""The record of a convergence experiment: immutable, validated when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import model_validator
from typing_extensions import Self

from loop_bench.document import Document
from loop_bench.experiments.convergence.plan import ConvergencePlan
from loop_bench.experiments.convergence.trial import Course, course
from loop_bench.jobs.kinds import ran_on
from loop_bench.jobs.machines import RanOn
from loop_bench.jobs.trial import Result

SCHEMA: Final = 1


class ConvergenceRecord(Document):
    """The courses of training of every loop from every seed."""

    title: ClassVar[str] = "convergence record"

    kind: Literal["convergence"] = "convergence"
    schema_version: Literal[1] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    plan: ConvergencePlan
    seconds: float  # of all processes together
    courses: dict[str, tuple[Course, ...]]  # by loop, one per seed, in the plan's order
    ran_on: tuple[RanOn, ...] = ()  # machines, and the trials that ran there; empty: all on the command's machine

    @model_validator(mode="after")
    def _has_every_run(self) -> Self:
        seeds = {loop: tuple(course.seed for course in courses) for loop, courses in self.courses.items()}
        if seeds != dict.fromkeys(self.plan.loops, self.plan.seeds):
            raise ValueError("a convergence record has one course for each loop and seed, and no others")
        return self

    @classmethod
    def of(cls, plan: ConvergencePlan, results: Mapping[str, Result[Course]], environment: dict[str, Any]) -> Self:
        """Collects the results of a plan, in its order.

        Args:
            plan: the plan; all its trials have a result.
            results: results by the keys of the trials.
            environment: the environment of the trials.
        """
        return cls(
            created=datetime.datetime.now(datetime.timezone.utc),
            environment=environment,
            plan=plan,
            seconds=sum(result.seconds for result in results.values()),
            courses={
                loop: tuple(course(trial, results[trial.key]) for trial in plan.trials_of(loop)) for loop in plan.loops
            },
            ran_on=ran_on((trial.title, results[trial.key].machine) for trial in plan.trials()),
        )
