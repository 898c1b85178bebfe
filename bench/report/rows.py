"""Rows of a before/after table: each is one statement, from which its texts and its numbers are made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pandas as pd

from loop_bench.report.report import Number, Table
from loop_bench.settings import ARMS
from loop_bench.statistics import FEWEST_PAIRS, Interval, Spread

NOT_MEASURED = "not measured"

NULL_ARM = "null arm"  # among numbers, where pandas would read `null` as nothing


def speed_up(ratio: Interval) -> str:
    """A ratio of times before/after; none where its interval holds 1."""
    if math.isinf(ratio.high):
        return f"{ratio.estimate:.2f}× (an interval needs {FEWEST_PAIRS} rounds)"
    if ratio.holds(1.0):
        return f"no measurable difference (95%: {ratio.low:.3f} to {ratio.high:.3f})"
    if ratio.estimate > 1:
        return f"{ratio.estimate:.2f}× faster (95%: {ratio.low:.2f} to {ratio.high:.2f})"
    slower = ratio.reciprocal
    return f"{slower.estimate:.2f}× slower (95%: {slower.low:.2f} to {slower.high:.2f})"


def change(ratio: Interval) -> str:
    """A ratio after/before as what it adds: `+3.1% (95%: +1.0% to +5.3%)`."""
    return f"{ratio.estimate - 1:+.1%} (95%: {ratio.low - 1:+.1%} to {ratio.high - 1:+.1%})"


def interval(ratio: Interval) -> str:
    """A ratio and its interval: `2.25 (2.20 to 2.30)`."""
    return f"{ratio.estimate:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def spread(found: Spread | None) -> str:
    """A median and its quartiles."""
    return NOT_MEASURED if found is None else f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"


def range_of(counts: Sequence[int]) -> str:
    """The least and the most of some counts: `12 to 40`, or `12`."""
    low, high = min(counts, default=0), max(counts, default=0)
    return str(low) if low == high else f"{low} to {high}"


def few(value: float | None) -> str:
    """A number with two decimals at most."""
    return NOT_MEASURED if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def times_fewer(before: float, after: float, less: str, more: str) -> str:
    """How a count or a time changed: `44× fewer`; without a factor where one of them is zero."""
    if before == after:
        return "same"
    if not before or not after:
        return less if after < before else more
    return f"{before / after:.3g}× {less}" if after < before else f"{after / before:.3g}× {more}"


COLUMNS = ["metric", *ARMS, "change"]

_ORDER = (*ARMS, NULL_ARM)

Source = TypeVar("Source")

Value = TypeVar("Value")

Numbered = Callable[[str, Any], Number | None]
"""Makes a number of a loop's name and its value."""


def number(
    figure: str,
    unit: str,
    make: Callable[[str, str, str, Any], Number | None] = Number.plain,
    of: Callable[[Any], Any] = lambda value: value,
) -> Numbered:
    """How a row's value becomes a number.

    Args:
        figure: its name.
        unit: its unit.
        make: the kind of number: `Number.plain`, `median`, `mean` or `estimate`.
        of: the part of the value that it is.
    """
    return lambda loop, value: make(figure, loop, unit, of(value))


@dataclasses.dataclass(frozen=True)
class Row:
    """One quantity of both loops, as texts and as numbers."""

    title: str  # with its unit
    texts: tuple[str, str, str]  # before, after, and how it changed
    numbers: tuple[Number | None, ...] = ()  # of the loops; None for what was not measured
    changes: tuple[Number | None, ...] = ()  # of how it changed
    is_known: bool = True  # of one of the loops
    brief: tuple[str, str, str] | None = None  # the texts in a short table; None: the row is not in it

    @classmethod
    def of(
        cls,
        title: str,
        loops: Sequence[Source | None],
        value: Callable[[Source], Value | None],
        say: Callable[[Value], str],
        *numbered: Numbered,
        change: Callable[[Value, Value], str] = lambda before, after: "",
        changes: Iterable[Number | None] = (),
        otherwise: str = NOT_MEASURED,
        brief: Callable[[Value], str] | None = None,
    ) -> Row:
        """States a row.

        Args:
            title: of the row, with the unit.
            loops: what is known of before and of after; None for nothing.
            value: of the row, from what is known of a loop; None where it was not measured.
            say: a value as a text.
            numbered: a value as numbers, see `number`.
            change: how the value changed, in words, where it is known of both.
            changes: how the value changed, as numbers.
            otherwise: the text for a value that was not measured.
            brief: a value as the text in a short table; None: the row is not in it.
        """
        before, after = (None if loop is None else value(loop) for loop in loops)
        known = {arm: each for arm, each in zip(ARMS, (before, after), strict=True) if each is not None}

        def texts(say: Callable[[Value], str]) -> tuple[str, str, str]:
            return (
                otherwise if before is None else say(before),
                otherwise if after is None else say(after),
                "" if before is None or after is None else change(before, after),
            )

        made = [make(arm, each) for arm, each in known.items() for make in numbered]
        return cls(title, texts(say), tuple(made), tuple(changes), bool(known), brief and texts(brief))


def table(title: str, rows: Sequence[Row], answer: str = "", key: str = "", of: str = COLUMNS[0]) -> Table:
    """A group of rows: texts in the columns `of`, before, after and, where any row has one, change."""
    frame = pd.DataFrame([(row.title, *row.texts) for row in rows], columns=COLUMNS)
    brief = pd.DataFrame([(row.title, *row.brief) for row in rows if row.brief], columns=COLUMNS)
    unchanged = [] if any(row.texts[-1] for row in rows) else COLUMNS[-1:]
    shown = frame.drop(columns=unchanged).rename(columns={COLUMNS[0]: of})
    return Table(title, shown, answer, key=key, brief=brief if key else None)


def numbers(rows: Sequence[Row]) -> list[Number]:
    """Numbers of rows: of one loop after the other, and then of the changes."""
    measured = [each for row in rows for each in row.numbers if each]
    changes = [each for row in rows for each in row.changes if each]
    return [*sorted(measured, key=lambda each: _ORDER.index(each.loop)), *changes]
