"""What of the work is varied, and over which values: the texts of `--sweep`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Annotated, Self

from pydantic import Field

from bench.document import Frozen
from bench.errors import UsageError

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


def parse(texts: Iterable[str], known: Sequence[str] | None) -> tuple[Axis, ...]:
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
