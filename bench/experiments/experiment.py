"""What an experiment says of itself: one builder of commands, and one test of `pytest bench/`, serve all of them.

The folder of an experiment has a subclass of Experiment in `experiment.py`; `bench/experiments/registry.py` names it.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from loop_bench.cluster import address
from loop_bench.document import Document
from loop_bench.errors import UsageError
from loop_bench.jobs import flaw
from loop_bench.jobs.gather import Run, in_processes
from loop_bench.settings import Settings

STARTING = 9.0
"""Rough seconds for starting TensorFlow in a process, on two cores."""


class OptionKind:
    """What an option's text stands for: itself, unless a subclass says otherwise."""

    def parse(self, option: str, text: str) -> Any:
        """The value of a text.

        Raises:
            UsageError: the text stands for none; it names the option.
        """
        return text


class Flag(OptionKind):
    """Given or not."""


class Folder(OptionKind):
    """A path."""

    def parse(self, option: str, text: str) -> Path:
        """See OptionKind."""
        return Path(text)


class ExistingFile(OptionKind):
    """The path of a file, as a text: it goes to the loops."""

    def parse(self, option: str, text: str) -> str:
        """See OptionKind."""
        if not Path(text).is_file():
            fault = "is a folder; name a file in it" if Path(text).is_dir() else "no such file"
            raise UsageError(f"{option.removeprefix('--')} {text}: {fault}")
        return text


class WholeNumber(OptionKind):
    """A whole number of at least `least`."""

    def __init__(self, least: int) -> None:
        self.least = least

    def parse(self, option: str, text: str) -> int:
        """See OptionKind."""
        if not text.isdecimal() or int(text) < self.least:
            raise UsageError(f"{option} {text!r}: must be a whole number of at least {self.least}")
        return int(text)


class RealNumber(OptionKind):
    """A finite number above zero, or also zero; a command takes none below `least`."""

    def __init__(self, least: float = 0, zero: bool = False) -> None:
        self.least = least
        self.zero = zero

    def parse(self, option: str, text: str) -> float:
        """See OptionKind."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (value > 0 or (self.zero and value == 0)) or math.isinf(value):
            raise UsageError(f"{option} {text!r}: must be a number {'of at least' if self.zero else 'above'} zero")
        return value


class Percent(OptionKind):
    """A share, written as a percentage with its sign: whether a bare 5 or 0.05 is meant as 5% nobody can know."""

    def parse(self, option: str, text: str) -> float:
        """See OptionKind."""
        number, sign, rest = text.strip().partition("%")
        try:
            share = float(number) / 100
        except ValueError:
            share = math.nan
        if not sign or rest or not 0 < share < math.inf:
            raise UsageError(f"{option} {text!r}: must be a percentage above zero with its sign, such as 5%")
        return share


class Choice(OptionKind):
    """One of some words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def parse(self, option: str, text: str) -> str:
        """See OptionKind."""
        if text not in self.words:
            raise UsageError(f"{option} {text!r}: must be one of {', '.join(self.words)}")
        return text


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of `pytest bench/`, of commands, or of both: all of them are declared from it."""

    name: str  # with its dashes
    help: str  # begins small, without a full stop; {axes} and {presets} stand for those of the built-in loops
    kind: OptionKind = dataclasses.field(default_factory=OptionKind)
    default: Any = None  # as it would be written; None: there is no value
    default_words: str = ""  # what holds without a value, in words
    metavar: str | None = None
    command_metavar: str | None = None  # where commands have another one
    repeated: bool = False
    also: tuple[str, ...] = ()  # further names, in commands

    @property
    def key(self) -> str:
        """The name of its value."""
        return self.name.strip("-").replace("-", "_")

    def but(self, **changes: Any) -> Option:
        """The option with something else in one place, such as another default."""
        return dataclasses.replace(self, **changes)

    def read(self, given: Any) -> Any:
        """The value of what was given: a text, texts of a repeated option, or a value already.

        Raises:
            UsageError: the text stands for none.
        """
        if isinstance(given, list | tuple):
            return tuple(self.kind.parse(self.name, text) for text in given)
        if isinstance(given, Path):
            given = str(given)
        return self.kind.parse(self.name, given) if isinstance(given, str) else given


Asked = Mapping[str, Any]
"""Values of options, by their keys."""


def place(asked: Asked) -> contextlib.AbstractContextManager[Run]:
    """Where trials are asked to run: on a cluster, or in processes on this machine; to be entered."""
    if on := asked.get("on"):
        from loop_bench.cluster import place as on_cluster  # it imports Dask

        return on_cluster.place(on)
    return contextlib.nullcontext(in_processes)


Tell = Callable[[str, str, float], None]
"""Is told what is running, a detail of it, and the weight of what was done since it was told last."""


@dataclasses.dataclass(frozen=True)
class Parts:
    """Work in equal parts."""

    total: int
    run: Callable[[Path, Callable[[str], None]], Document]
    """Takes a folder, and what is told the title of each part that is done."""


@dataclasses.dataclass(frozen=True)
class Stages:
    """Work in stages with weights."""

    total: float  # sum of the weights
    run: Callable[[Path, Tell], Document]


@dataclasses.dataclass(frozen=True)
class RunSwitch:
    """How an experiment is asked for in `pytest bench/`."""

    option: Option
    without: str  # the reason for skipping it
    place: int = 0  # above 0: after everything of a lower place, whose timing it would disturb
    with_run: bool = False  # whether it needs the loops of the run to be there, and the run's record made


class Experiment(abc.ABC):
    """An experiment with a record of its own.

    The docstring of a subclass is the help of its command; the registry has its first line as well. A pair in what
    follows is a `loop_bench.pair.Pair`, which experiments do not know.
    """

    name: ClassVar[str]  # the kind of its record
    options: ClassVar[tuple[str | tuple[str, Mapping[str, Any]] | Option, ...]]
    """Options of the command, in order; one of the common table by its name, and with what differs from it."""
    shares_gpu: ClassVar[bool] = False  # whether the command leaves a GPU's memory to other processes
    needs_folder: ClassVar[bool] = True  # whether the command writes also when it is not told where
    stage: ClassVar[str] = ""  # what is running, where the work is in parts
    parts: ClassVar[str] = "runs"  # what the parts, or the trials, are called
    redraws: ClassVar[float] = 10.0  # a second; seldom where parts are timed meanwhile
    interrupted: ClassVar[str] = "the same command goes on with what is left ({left} of {total})"
    switch: ClassVar[RunSwitch | None] = None  # None: not in `pytest bench/`

    def in_run(self, value: Any) -> dict[str, Any]:
        """What a value of the switch asks for, by the keys of the command's options."""
        return {}

    def seconds(self, asked: Asked) -> float:
        """Rough length in `pytest bench/`, on two cores."""
        return 0.0

    def check(self, pair: Any, asked: Asked, options: Mapping[str, Any]) -> None:
        """Looks at what can be wrong before TensorFlow is started.

        Args:
            pair: the loops.
            asked: values of options.
            options: of the loops.

        Raises:
            UsageError: something is wrong.
        """
        if on := asked.get("on"):
            if asked.get("workers"):
                raise UsageError(f"--workers {asked['workers']}: is of processes on this machine, and not --on {on}")
            address.check(on)
        pair.check(asked["preset"], asked.get("seed", 0), options)

    @abc.abstractmethod
    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Parts | Stages:
        """The work to be done.

        Raises:
            UsageError: these loops or options do not go with it.
        """

    def titled(self, title: str) -> tuple[str, str]:
        """What is said to be running, and a detail of it, after the part of this title."""
        return self.stage, f": {title}"

    def notes(self, folder: Path) -> Iterable[str]:
        """What to say of the folder besides."""
        return ()

    def tidy(self, folder: Path) -> None:  # noqa: B027  # most have nothing to remove
        """Removes what is not needed once the record is written."""

    def causes(self, record: Any) -> Mapping[str, Sequence[str]]:
        """Why each trial came to nothing, by group; empty texts of those that came to something: see `flaw.flaw`.

        None are named by an experiment that ends with the error of the first loop that fails.
        """
        return {}

    def flaw(self, record: Any) -> str:
        """Why the experiment has found nothing, or nothing of a loop, in one line; empty if it has."""
        return flaw.flaw(self.causes(record), self.parts)

    def exit_code(self, record: Any) -> int:
        """The exit code of the command."""
        return int(bool(self.flaw(record)))
