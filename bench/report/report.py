"""A report: what there is to show of any record, in any format."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from typing_extensions import Self

from loop_bench.errors import UsageError
from loop_bench.statistics import Interval, Spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Number(NamedTuple):
    """A figure of a table as a plain number; what was not measured makes none."""

    figure: str
    loop: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    interval: str = ""  # what low and high are: quartiles, 95% (its confidence), 5% to 95% (of the samples), or nothing

    @classmethod
    def plain(cls, figure: str, loop: str, unit: str, value: float | None) -> Self | None:
        """A number without an interval."""
        return None if value is None else cls(figure, loop, unit, float(value))

    @classmethod
    def median(cls, figure: str, loop: str, unit: str, value: Spread | None) -> Self | None:
        """A median with its quartiles."""
        return None if value is None else cls(figure, loop, unit, *value, "quartiles")

    @classmethod
    def mean(cls, figure: str, loop: str, unit: str, value: tuple[float, float, float] | None) -> Self | None:
        """A mean with the 5th and the 95th percentile of its samples."""
        return None if value is None else cls(figure, loop, unit, *value, "5% to 95%")

    @classmethod
    def estimate(cls, figure: str, loop: str, unit: str, value: Interval | None) -> Self | None:
        """An estimate with its 95% interval; without one where there were too few samples for it."""
        if value is None or not math.isfinite(value.high):
            return cls.plain(figure, loop, unit, value and value.estimate)
        return cls(figure, loop, unit, *value, "95%")


NUMBERS = list(Number._fields)
"""Columns of a report's numbers."""


class Table(NamedTuple):
    """A frame of texts: each number with its interval, its unit there or in the name of its row or column."""

    title: str
    frame: pd.DataFrame


@dataclasses.dataclass(frozen=True)
class Picture:
    """A plot that is drawn when it is wanted."""

    stem: str  # of the names of its files
    caption: str  # what is to be seen, with units; for those who cannot see it, too
    draw: Callable[[], Figure]


@dataclasses.dataclass(frozen=True)
class Report:
    """A record as tables, notes, numbers and pictures: all that any renderer needs."""

    title: str
    tables: tuple[Table, ...]  # none of them empty
    notes: tuple[str, ...]  # what a reader must know to believe the tables; machine and versions last
    numbers: pd.DataFrame  # the tables' figures as numbers, in the columns NUMBERS
    pictures: tuple[Picture, ...] = ()

    def only(self, titles: Iterable[str]) -> Report:
        """A report of some of these tables, without pictures.

        Raises:
            UsageError: there is no table whose title begins so.
        """
        kept = [table for title in titles for table in self._beginning(title)]
        return dataclasses.replace(self, tables=tuple(kept), pictures=())

    def _beginning(self, title: str) -> list[Table]:
        found = [table for table in self.tables if table.title.lower().startswith(title.lower())]
        if not found:
            raise UsageError(
                f"no table is called {title!r}; there are {', '.join(repr(each.title) for each in self.tables)}"
            )
        return found

    @classmethod
    def of(
        cls,
        title: str,
        tables: Iterable[tuple[str, pd.DataFrame]],
        notes: Iterable[str],
        numbers: Iterable[Number | None] = (),
        pictures: Iterable[Picture] = (),
    ) -> Report:
        """A report of its parts, without tables that have no rows and numbers that were not measured."""
        kept = tuple(Table(name, frame) for name, frame in tables if len(frame))
        known = pd.DataFrame([number for number in numbers if number], columns=NUMBERS)
        return cls(title, kept, tuple(notes), known, tuple(pictures))
