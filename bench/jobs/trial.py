"""Trials and their results: the values that every experiment with processes begins and ends with."""

from __future__ import annotations

import hashlib
import os
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Frozen, NotNegative
from loop_bench.errors import InvalidRecordError
from loop_bench.jobs.attempt import Attempt
from loop_bench.jobs.machines import Machine
from loop_bench.loop import LoopSpec

Ending = Literal["whole", "crashed", "timed out"]
"""How a trial ended; only a whole one has a finding."""

Found = TypeVar("Found")


class Trial(Frozen, Generic[Found]):
    """Everything that a process needs to run one trial; a subclass adds fields, and names the work.

    Trials that differ only by their time limit or by the order of their options are the same trial, with one key.
    """

    work: ClassVar[str]
    """`module:function`: takes the trial and returns its finding, in a process that may start TensorFlow."""

    finding: ClassVar[type[Any]]
    """Class of the finding: a pydantic model, or a dataclass."""

    is_timed: ClassVar[bool] = False
    """Whether times are compared between trials: each then has a machine to itself, and all are of one kind."""

    time_limit: Annotated[float, Field(gt=0)] = 300.0  # seconds, process start included

    @property
    def title(self) -> str:
        """The trial's name in messages and progress."""
        raise NotImplementedError

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Factory and options of each loop that the trial builds."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """20 hexadecimal digits: a hash of everything that can change the finding."""
        text = _sorted(self).model_dump_json(exclude=self._of_no_account())
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def _of_no_account(self) -> set[str]:
        """Names of the fields that cannot change the finding."""
        return {"time_limit"}

    @classmethod
    def environment(cls, folder: Path, own: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Environment variables of the trials' processes, besides those for all loops.

        Args:
            folder: for files that the trials share, such as caches.
            own: variables that the processes have already.
        """
        return {}

    @classmethod
    def preload(cls) -> tuple[str, ...]:
        """Modules to import once for all trials of the class; none of them may start a device."""
        return ("loop_bench.jobs.imports", cls.work.partition(":")[0])

    def run(self) -> Found:
        """Does the work in this process and returns the finding."""
        finding: Found = pkgutil.resolve_name(self.work)(self)
        return finding


class LoopTrial(Trial[Found], Generic[Found]):
    """A trial of one loop with one seed."""

    loop: str  # its name within the experiment
    factory: str  # as module:factory
    preset: str
    seed: int
    options: dict[str, Any] = Field(default_factory=dict)
    arm: str = ""  # in whose home the trial runs; empty for the environment of the run
    home: str = ""  # that home, with its commit: a loop in another home is another trial

    @property
    def title(self) -> str:
        return f"{self.loop}, seed {self.seed}"

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return ((self.factory, self.options),)

    def _of_no_account(self) -> set[str]:
        return super()._of_no_account() | {"arm"} | (set() if self.home else {"home"})

    @property
    def spec(self) -> LoopSpec:
        """The spec for building the loop."""
        return LoopSpec(self.preset, self.seed, self.options)


def _sorted(value: Any) -> Any:
    """A value with the keys of every mapping in order; the order of fields does not change."""
    if isinstance(value, Frozen):
        return value.model_copy(update={name: _sorted(each) for name, each in value})
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return tuple(map(_sorted, value)) if isinstance(value, tuple) else value


class Result(Frozen, Generic[Found]):
    """How a trial ended, and its finding if it ended whole."""

    ended: Ending
    why: str = ""  # reason if it is not whole
    seconds: NotNegative  # process start included
    time_limit: float  # seconds that were allowed
    found: Found | None = None
    machine: Machine | None = None  # that the trial ran on; None: that of the command

    @model_validator(mode="after")
    def _has_finding_if_whole(self) -> Self:
        if (self.found is not None) != (self.ended == "whole"):
            raise ValueError("a trial has a finding if, and only if, it ended whole")
        return self

    @property
    def died(self) -> str:
        """How and why the trial failed; empty if it ended whole."""
        return "" if self.ended == "whole" else f"{self.ended}: {self.why}"

    def deserves_retry(self, trial: Trial[Found]) -> bool:
        """Whether the trial timed out with a shorter limit than it has now."""
        return self.ended == "timed out" and self.time_limit < trial.time_limit


def attempt(trial: Trial[Found]) -> Result[Found]:
    """Does a trial's work in this process; a crash is its result.

    Raises:
        UsageError: the trial is invalid, for example its loop does not exist: no result, and no retry.
    """
    ended = Attempt.of(trial.run)
    return result_class(trial)(**vars(ended), time_limit=trial.time_limit)


def result_class(trial: Trial[Found]) -> type[Result[Found]]:
    """The class of a trial's result, typed by the class of its finding."""
    return Result[trial.finding]  # type: ignore[name-defined]


def read(path: Path, trial: Trial[Found]) -> Result[Found]:
    """Reads a trial's result from a file.

    Raises:
        InvalidRecordError: the file holds no valid result.
    """
    try:
        return result_class(trial).model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidRecordError(f"result {path}: cannot be read ({type(error).__name__}); remove it") from None
