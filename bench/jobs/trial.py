"""One thing to try, as a value, and how it ended: the two ends of every experiment that needs processes."""

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
"""How a trial ended: with what it was to find, or without."""

Found = TypeVar("Found")


class Trial(Frozen, Generic[Found]):
    """All that a process needs to try one thing; a subclass adds fields, and says what is done with them.

    Two trials that are equal but for the time limit or the order of options are the same trial: they have one key.
    """

    work: ClassVar[str]
    """`module:function`: takes the trial and returns what it has found, in a process that may start TensorFlow."""

    finding: ClassVar[type[Any]]
    """The class of what is found: a model of pydantic's, or a dataclass."""

    is_timed: ClassVar[bool] = False
    """Whether times are compared between trials: each has a machine to itself, and all have one kind of machine."""

    time_limit: Annotated[float, Field(gt=0)] = 300.0  # seconds, process start included

    @property
    def title(self) -> str:
        """What a person calls it."""
        raise NotImplementedError

    @property
    def loops(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The loops that it builds: factory and options of each."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """20 hexadecimal digits of all that can make a difference to what is found."""
        text = _sorted(self).model_dump_json(exclude=self._of_no_account())
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def _of_no_account(self) -> set[str]:
        """The fields that make no difference to what is found."""
        return {"time_limit"}

    @classmethod
    def environment(cls, folder: Path, own: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Environment variables of its processes, besides those of all loops.

        Args:
            folder: for what they keep for one another.
            own: the variables that they have already.
        """
        return {}

    @classmethod
    def preload(cls) -> tuple[str, ...]:
        """Modules that are imported once for all trials of the class; none of them asks for a device."""
        return ("loop_bench.jobs.imports", cls.work.partition(":")[0])

    def run(self) -> Found:
        """Does the work in this process."""
        found: Found = pkgutil.resolve_name(self.work)(self)
        return found


class LoopTrial(Trial[Found], Generic[Found]):
    """A trial of one loop from one seed."""

    loop: str  # what it is called among the loops of an experiment
    factory: str  # as module:factory
    preset: str
    seed: int
    options: dict[str, Any] = Field(default_factory=dict)
    arm: str = ""  # whose home it runs in; empty where loops run in processes of the run's own environment
    home: str = ""  # that home, with its commit: a loop that has moved is another loop

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
        """What the loop is to be built with."""
        return LoopSpec(self.preset, self.seed, self.options)


def _sorted(value: Any) -> Any:
    """A value with the keys of every mapping in order; fields of values stay where they are."""
    if isinstance(value, Frozen):
        return value.model_copy(update={name: _sorted(each) for name, each in value})
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return tuple(map(_sorted, value)) if isinstance(value, tuple) else value


class Result(Frozen, Generic[Found]):
    """How a trial ended, and what it found if it ended whole."""

    ended: Ending
    why: str = ""  # it is not whole
    seconds: NotNegative  # process start included
    time_limit: float  # seconds that it was given
    found: Found | None = None
    machine: Machine | None = None  # that it ran on; None: the one of the command

    @model_validator(mode="after")
    def _has_found_something_if_whole(self) -> Self:
        if (self.found is not None) != (self.ended == "whole"):
            raise ValueError("a trial that ended whole has found something, and no other has")
        return self

    @property
    def died(self) -> str:
        """How and why it is not whole; empty if it is."""
        return "" if self.ended == "whole" else f"{self.ended}: {self.why}"

    def deserves_retry(self, trial: Trial[Found]) -> bool:
        """Whether it ran out of a time that was shorter than the trial is given now."""
        return self.ended == "timed out" and self.time_limit < trial.time_limit


def attempt(trial: Trial[Found]) -> Result[Found]:
    """Does a trial's work in this process; what it dies of is its result.

    Raises:
        UsageError: the trial asks for something wrong, such as a loop that does not exist: no result, and no retry.
    """
    ended = Attempt.of(trial.run)
    return result_class(trial)(**vars(ended), time_limit=trial.time_limit)


def result_class(trial: Trial[Found]) -> type[Result[Found]]:
    """The class of a trial's result, which knows the class of what it finds."""
    return Result[trial.finding]  # type: ignore[name-defined]


def read(path: Path, trial: Trial[Found]) -> Result[Found]:
    """The result of a trial in a file.

    Raises:
        InvalidRecordError: it holds no whole result.
    """
    try:
        return result_class(trial).model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidRecordError(f"result {path}: cannot be read ({type(error).__name__}); remove it") from None
