"""The plan of a sweep: axes of the work, their values, and the points to measure."""

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
"""The option that names axes, for messages."""


class Axis(Frozen):
    """A dimension of the work, such as the batch size, and the values to measure."""

    name: str
    values: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)]  # ascending, each once

    @classmethod
    def parse(cls, text: str, known: Sequence[str] | None) -> Self:
        """Parses an axis from its text, such as `batch=16,64,256`.

        Args:
            text: text of the option.
            known: names of the known axes; None: any name is accepted.

        Raises:
            UsageError: the text has another form, the axis is unknown, or a value is not a whole number, too small or
                given twice.
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
    """Parses the axes of a command line, one from each text.

    Raises:
        UsageError: there is no axis, one is wrong (see `Axis.parse`), or one is given twice.
    """
    axes = tuple(Axis.parse(text, known) for text in texts)
    if not axes:
        raise UsageError(f"no {OPTION}: name an axis and its values, such as {OPTION} batch=16,64,256")
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{OPTION}: axis {name} is given twice; give all of its values at once")
    return axes


def _values(text: str, rest: str) -> tuple[int, ...]:
    parts = [part.strip() for part in rest.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdecimal()) or int(part) < 1:
            raise UsageError(f"{OPTION} {text!r}: {part!r} must be a whole number of at least 1")
    values = sorted(map(int, parts))
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f"{OPTION} {text!r}: {value} is given twice")
    return tuple(values)


TIME_LIMIT = 900.0
"""Default time limit of a point in seconds."""


class Size(NamedTuple):
    """The options of the loops at one value of an axis."""

    options: dict[str, Any]  # all options of the loops
    tokens: int | None  # in a sample; None: not known


class Sweep(Frozen):
    """The points to measure along each axis, with everything else as in the settings."""

    settings: Settings  # `max_time` is for the rounds of all points together
    axes: tuple[Axis, ...]
    points: dict[str, tuple[Point, ...]]  # by the name of the axis, one per value

    @model_validator(mode="after")
    def _has_a_point_for_each_value(self) -> Self:
        counts = {name: len(points) for name, points in self.points.items()}
        if {axis.name: len(axis.values) for axis in self.axes} != counts:
            raise ValueError("a sweep has a point for each value of each axis")
        return self

    @classmethod
    def of(cls, settings: Settings, sizes: Mapping[Axis, Sequence[Size]], time_limit: float = TIME_LIMIT) -> Self:
        """Plans a sweep over some sizes, whose points get equal shares of the settings' time for rounds.

        Args:
            settings: settings of all points, except for the options.
            sizes: one for each value of each axis; equal sizes become one point.
            time_limit: seconds for a point; a point that takes longer is ended.
        """
        distinct = {repr(sorted(size.options.items())) for of_axis in sizes.values() for size in of_axis}
        seconds = settings.max_time / max(1, len(distinct))

        def point(size: Size) -> Point:
            changed = settings.model_copy(update={"options": dict(size.options), "max_time": seconds})
            return Point(settings=changed, tokens=size.tokens, time_limit=time_limit)

        points = {axis.name: tuple(map(point, of_axis)) for axis, of_axis in sizes.items()}
        return cls(settings=settings, axes=tuple(sizes), points=points)

    def distinct(self) -> dict[str, Point]:
        """The distinct points by the keys of their trials; a point that lies on several axes comes once."""
        return {point.key: point for axis in self.axes for point in self.points[axis.name]}

    def titles(self) -> dict[str, str]:
        """The titles of the points by key, such as `batch 64`, or `batch 64 = tokens 20`."""
        values: dict[str, list[str]] = {}
        for axis in self.axes:
            for value, point in zip(axis.values, self.points[axis.name], strict=True):
                values.setdefault(point.key, []).append(f"{axis.name} {value}")
        return {key: " = ".join(of_point) for key, of_point in values.items()}

    def is_own(self, point: Point) -> bool:
        """Whether a point has exactly the options of the settings, without any axis."""
        return point.settings.options == self.settings.options


@dataclasses.dataclass(frozen=True)
class Axes:
    """The dimensions of the work in which a loop can be varied."""

    options: Mapping[str, str]  # the loop's option by the name of the axis
    work: Callable[[Settings, Mapping[str, Any]], tuple[Any, int | None]]
    """From settings and options: a value that is equal for equal work, and the tokens in a sample. Raises UsageError
    for a value that the loop does not accept."""


def sweep_plan(
    settings: Settings, over: Sequence[Axis], axes: Axes | None, known_to_both: bool, time_limit: float = TIME_LIMIT
) -> Sweep:
    """Plans the points at which two loops are measured.

    Args:
        settings: settings of the run.
        over: the axes, and the values on each.
        axes: dimensions in which the loops can be varied; None: the name of an axis is the name of an option.
        known_to_both: whether both loops have these axes, and the same preset values for them.
        time_limit: seconds for a point.

    Raises:
        UsageError: a loop does not accept a value.
    """
    own_work = None if axes is None else axes.work(settings, settings.options)[0]

    def size(name: str, value: int) -> Size:
        if axes is None:
            return Size({**settings.options, name: value}, None)
        varied = {**settings.options, axes.options[name]: value}
        work, tokens = axes.work(settings, varied)
        # The preset's own value is the same work whether it is named or not, so that it is measured only once.
        return Size(dict(settings.options) if known_to_both and work == own_work else varied, tokens)

    sizes = {axis: [size(axis.name, value) for value in axis.values] for axis in over}
    return Sweep.of(settings, sizes, time_limit)
