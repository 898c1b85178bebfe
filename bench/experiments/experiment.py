"""The interface of experiments, from which their commands, options and tests in `pytest bench/` are built.

Each experiment's folder has a subclass of Experiment in `experiment.py`, which `bench/experiments/registry.py` names.
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
    """Parser of an option's text; this base class accepts any text as it is."""

    def parse(self, option: str, text: str) -> Any:
        """Converts the text of an option into its value.

        Raises:
            UsageError: the text is not a valid value; the message names the option.
        """
        return text


class Flag(OptionKind):
    """An option without a value, given or not."""


class Folder(OptionKind):
    """The path of a folder, which need not exist."""

    def parse(self, option: str, text: str) -> Path:
        """See OptionKind."""
        return Path(text)


class ExistingFile(OptionKind):
    """The path of an existing file; stays a text, because it is passed to the loops."""

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
    """A finite number above zero, or with `zero` also zero; commands accept none below `least`."""

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
    """A share, written as a percentage with its sign, because a bare 5 or 0.05 would be ambiguous."""

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
    """One of several words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def parse(self, option: str, text: str) -> str:
        """See OptionKind."""
        if text not in self.words:
            raise UsageError(f"{option} {text!r}: must be one of {', '.join(self.words)}")
        return text


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of `pytest bench/`, of commands, or of both, from which either declares its own."""

    name: str  # with its dashes
    help: str  # in lower case, without a full stop; {axes} and {presets} are replaced by those of the built-in loops
    kind: OptionKind = dataclasses.field(default_factory=OptionKind)
    default: Any = None  # as the user would write it; None: no value
    default_words: str = ""  # the default in words, if there is no default value
    metavar: str | None = None
    command_metavar: str | None = None  # replaces `metavar` in commands
    repeated: bool = False
    also: tuple[str, ...] = ()  # further names, in commands

    @property
    def key(self) -> str:
        """The name under which the option's value is stored, such as `max_time` for `--max-time`."""
        return self.name.strip("-").replace("-", "_")

    def but(self, **changes: Any) -> Option:
        """A copy of the option with some fields changed, such as the default."""
        return dataclasses.replace(self, **changes)

    def read(self, given: Any) -> Any:
        """Converts what was given (a text, the texts of a repeated option, or a value) into the option's value.

        Raises:
            UsageError: a text is not a valid value.
        """
        if isinstance(given, list | tuple):
            return tuple(self.kind.parse(self.name, text) for text in given)
        if isinstance(given, Path):
            given = str(given)
        return self.kind.parse(self.name, given) if isinstance(given, str) else given


Asked = Mapping[str, Any]
"""The values of options, by their keys."""


def place(asked: Asked) -> contextlib.AbstractContextManager[Run]:
    """Enters the place where trials run: the cluster that `--on` names, or processes on this machine."""
    if on := asked.get("on"):
        from loop_bench.cluster import place as on_cluster  # it imports Dask

        return on_cluster.place(on)
    return contextlib.nullcontext(in_processes)


Tell = Callable[[str, str, float], None]
"""Callback for progress: the stage, a detail of it, and the weight of the work done since the last call."""


@dataclasses.dataclass(frozen=True)
class Parts:
    """The work of an experiment in equal parts."""

    total: int
    run: Callable[[Path, Callable[[str], None]], Document]
    """Does the work; takes a folder, and a callback for the title of each finished part."""


@dataclasses.dataclass(frozen=True)
class Stages:
    """The work of an experiment in stages with weights."""

    total: float  # sum of the weights
    run: Callable[[Path, Tell], Document]


@dataclasses.dataclass(frozen=True)
class RunSwitch:
    """The option that includes an experiment in `pytest bench/`, and its place there."""

    option: Option
    without: str  # the reason for skipping the experiment
    place: int = 0  # above 0: runs after all lower places, because it would disturb their timing
    with_run: bool = False  # whether it needs the loops and the record of the run


class Experiment(abc.ABC):
    """An experiment that makes a record of its own.

    The docstring of a subclass is the help of its command; the registry repeats its first line. Arguments named `pair`
    are a `loop_bench.pair.Pair`, which this package does not import.
    """

    name: ClassVar[str]  # the kind of its record
    options: ClassVar[tuple[str | tuple[str, Mapping[str, Any]] | Option, ...]]
    """Options of the command, in order: an Option, or the name of one in the common table, alone or with changes."""
    shares_gpu: ClassVar[bool] = False  # whether other processes of the command need the GPU's memory
    needs_folder: ClassVar[bool] = True  # whether the command writes files even without --out
    stage: ClassVar[str] = ""  # name of the stage, if the work is in parts
    parts: ClassVar[str] = "runs"  # name of the parts or trials, in the plural
    redraws: ClassVar[float] = 10.0  # redraws of the progress bar per second; few if parts are timed meanwhile
    interrupted: ClassVar[str] = "the same command resumes it ({left} of {total} left)"
    switch: ClassVar[RunSwitch | None] = None  # None: not in `pytest bench/`

    def in_run(self, value: Any) -> dict[str, Any]:
        """The options of the command, by their keys, that a value of the switch stands for."""
        return {}

    def seconds(self, asked: Asked) -> float:
        """Rough duration in `pytest bench/`, in seconds on two cores."""
        return 0.0

    def check(self, pair: Any, asked: Asked, options: Mapping[str, Any]) -> None:
        """Validates options before TensorFlow is started.

        Args:
            pair: the loops.
            asked: values of the experiment's options.
            options: options of the loops.

        Raises:
            UsageError: an option is wrong.
        """
        if on := asked.get("on"):
            if asked.get("workers"):
                raise UsageError(f"--workers {asked['workers']}: only for processes on this machine, not for --on {on}")
            address.check(on)
        pair.check(asked["preset"], asked.get("seed", 0), options)

    @abc.abstractmethod
    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Parts | Stages:
        """Plans the work.

        Raises:
            UsageError: the experiment does not support these loops or options.
        """

    def titled(self, title: str) -> tuple[str, str]:
        """The stage and the detail to show after the part with this title."""
        return self.stage, f": {title}"

    def notes(self, folder: Path) -> Iterable[str]:
        """Lines about the folder to print after the files in it."""
        return ()

    def tidy(self, folder: Path) -> None:  # noqa: B027  # most have nothing to remove
        """Removes files that are not needed once the record is written."""

    def causes(self, record: Any) -> Mapping[str, Sequence[str]]:
        """The cause of each trial's failure, by group; an empty text for a trial that succeeded. See `flaw.flaw`.

        Empty for experiments that end with the error of the first loop that fails.
        """
        return {}

    def flaw(self, record: Any) -> str:
        """Why the experiment has no result, or none for one loop, in one line; empty if it has."""
        return flaw.flaw(self.causes(record), self.parts)

    def exit_code(self, record: Any) -> int:
        """The exit code of the command: 1 if there is a flaw, otherwise 0."""
        return int(bool(self.flaw(record)))
