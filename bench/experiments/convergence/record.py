"""The result of an experiment on convergence: immutable, checked when it is made, JSON on disk."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import model_validator

from bench.document import Document
from bench.experiments.convergence.course import Course
from bench.experiments.convergence.plan import Plan
from bench.experiments.convergence.trial import Tried

SCHEMA: Final = 1


class ConvergenceRecord(Document):
    """How the quality of every loop went, from every seed."""

    title: ClassVar[str] = "convergence record"

    kind: Literal["convergence"] = "convergence"
    schema_version: Literal[1] = SCHEMA
    created: datetime.datetime
    environment: dict[str, Any]
    plan: Plan
    seconds: float  # of all processes together
    courses: dict[str, tuple[Course, ...]]  # by loop, one a seed, in the plan's order

    @model_validator(mode="after")
    def _has_every_run(self) -> Self:
        seeds = {loop: tuple(course.seed for course in courses) for loop, courses in self.courses.items()}
        if seeds != dict.fromkeys(self.plan.loops, self.plan.seeds):
            raise ValueError("a convergence record has a course of each loop from each seed, and of no others")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether not a single run came to its end."""
        return all(course.flaw for courses in self.courses.values() for course in courses)

    @classmethod
    def of(cls, plan: Plan, tried: Mapping[str, Tried], environment: dict[str, Any]) -> Self:
        """What was tried, in the plan's order.

        Args:
            plan: all of which has been.
            tried: by the names of the trials' jobs.
            environment: in which they were.
        """
        return cls(
            created=datetime.datetime.now(datetime.UTC),
            environment=environment,
            plan=plan,
            seconds=sum(each.seconds for each in tried.values()),
            courses={
                loop: tuple(tried[plan.trial(loop, seed).job.name].course for seed in plan.seeds) for loop in plan.loops
            },
        )
