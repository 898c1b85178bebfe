"""At which sizes of the work both loops are to be measured, and for how long."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Frozen
from loop_bench.errors import UsageError
from loop_bench.experiments.sweep.trial import Point
from loop_bench.settings import Settings

OPTION = "--sweep"


class Axis(Frozen):
    """One size of the work and the values that it takes."""

    name: str
    values: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)]  # ascending, each once

    @classmethod
    def parse(cls, text: str, known: Sequence[str] | None) -> Self:
        """The axis that a text such as `batch=16,64,256` stands for.

        Args:
            text: from a command line.
            known: names of the axes there are; None where any name may be one.

        Raises:
            UsageError: it is of another form, the axis is unknown, or a value is no whole number, too small or double.
        """
        name, sign, rest = (part.strip() for part in text.partition("="))
        if not (name and sign and rest):
            raise UsageError(f"{OPTION} {text!r}: must be an axis and its values, such as batch=16,64,256")
        if known is not None and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UsageError(f"{OPTION} {text!r}: axis {name!r} is unknown{hint}; the axes are {', '.join(known)}")
        return cls(name=name, values=_values(text, rest))


def parse_axes(texts: Iterable[str], known: Sequence[str] | None) -> tuple[Axis, ...]:
    """The axes of a command line, a text each.

    Raises:
        UsageError: there is none, one is wrong (see `Axis.parse`), or one is there twice.
    """
    axes = tuple(Axis.parse(text, known) for text in texts)
    if not axes:
        raise UsageError(f"no {OPTION}: name an axis and its values, such as {OPTION} batch=16,64,256")
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{OPTION}: axis {name} is there twice; give all of its values in one")
    return axes


def _values(text: str, rest: str) -> tuple[int, ...]:
    parts = [part.strip() for part in rest.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdecimal()) or int(part) < 1:
            raise UsageError(f"{OPTION} {text!r}: {part!r} must be a whole number of at least 1")
    values = sorted(map(int, parts))
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f"{OPTION} {text!r}: {value} is there twice")
    return tuple(values)


TIME_LIMIT = 900.0
"""Seconds for a point, unless something else is asked for."""


class Size(NamedTuple):
    """What one value of an axis comes to for the loops."""

    options: dict[str, Any]  # all that they are built with
    tokens: int | None  # in a sample; None where it is not known


class Sweep(Frozen):
    """What is to be measured: along each axis, with all else as the settings have it."""

    settings: Settings  # `max_time` is for the rounds of all points together
    axes: tuple[Axis, ...]
    points: dict[str, tuple[Point, ...]]  # by the name of an axis, one a value

    @model_validator(mode="after")
    def _has_a_point_for_each_value(self) -> Self:
        if {axis.name: len(axis.values) for axis in self.axes} != {name: len(of) for name, of in self.points.items()}:
            raise ValueError("a sweep has a point for each value of each axis")
        return self

    @classmethod
    def of(cls, settings: Settings, sizes: Mapping[Axis, Sequence[Size]], time_limit: float = TIME_LIMIT) -> Self:
        """The sweep over some sizes, whose points share the settings' time for rounds alike.

        Args:
            settings: of all points but for the options.
            sizes: one for each value of each axis; those that are the same are one point.
            time_limit: seconds for a point; one that takes longer is ended.
        """
        distinct = {repr(sorted(size.options.items())) for of in sizes.values() for size in of}
        seconds = settings.max_time / max(1, len(distinct))

        def point(size: Size) -> Point:
            changed = settings.model_copy(update={"options": dict(size.options), "max_time": seconds})
            return Point(settings=changed, tokens=size.tokens, time_limit=time_limit)

        points = {axis.name: tuple(map(point, of)) for axis, of in sizes.items()}
        return cls(settings=settings, axes=tuple(sizes), points=points)

    def distinct(self) -> dict[str, Point]:
        """Each point once, however many axes it lies on, by the key of its trial."""
        return {point.key: point for axis in self.axes for point in self.points[axis.name]}

    def titles(self) -> dict[str, str]:
        """Titles of the points by key, as a person calls them: `batch 64`, or `batch 64 = tokens 20`."""
        found: dict[str, list[str]] = {}
        for axis in self.axes:
            for value, point in zip(axis.values, self.points[axis.name], strict=True):
                found.setdefault(point.key, []).append(f"{axis.name} {value}")
        return {name: " = ".join(told) for name, told in found.items()}

    def is_own(self, point: Point) -> bool:
        """Whether a point is the size that the settings stand for without any axis."""
        return point.settings.options == self.settings.options


@dataclasses.dataclass(frozen=True)
class Axes:
    """Sizes of the work that a loop can be built with."""

    options: Mapping[str, str]  # by the name of an axis, the option that it is
    work: Callable[[Settings, Mapping[str, Any]], tuple[Any, int | None]]
    """Of settings and options: a value that is equal for equal work, and the tokens in a sample. UsageError: the loop
    does not take a value."""


def sweep_plan(
    settings: Settings, over: Sequence[Axis], axes: Axes | None, known_to_both: bool, time_limit: float = TIME_LIMIT
) -> Sweep:
    """At which sizes two loops are measured.

    Args:
        settings: of the run.
        over: the axes, and the values on each.
        axes: what a loop of the pair can be built with; None where the name of an axis is an option of theirs.
        known_to_both: whether both loops know these axes, and what the settings stand for without an option.
        time_limit: seconds for a point.

    Raises:
        UsageError: a loop does not take a value.
    """
    own = None if axes is None else axes.work(settings, settings.options)[0]

    def size(name: str, value: int) -> Size:
        if axes is None:
            return Size({**settings.options, name: value}, None)
        varied = {**settings.options, axes.options[name]: value}
        work, tokens = axes.work(settings, varied)
        # The preset's own value, named or not, is the same work for loops that have the preset: it is measured once.
        return Size(dict(settings.options) if known_to_both and work == own else varied, tokens)

    sizes = {axis: [size(axis.name, value) for value in axis.values] for axis in over}
    return Sweep.of(settings, sizes, time_limit)
