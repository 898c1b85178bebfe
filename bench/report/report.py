"""What there is to show of a record, whatever it is of and whatever it is shown in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UsageError

NUMBERS = ["figure", "loop", "unit", "value", "low", "high", "interval"]
"""Columns of a report's numbers; `interval` says what low and high are: `quartiles`, `95%` (its confidence),
`5% to 95%` (of the samples), or nothing."""

Number = tuple[str, str, str, float, float | None, float | None, str]
"""A row of them."""


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
        """The same with some of its tables, and no pictures.

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
        numbers: Iterable[Number] = (),
        pictures: Iterable[Picture] = (),
    ) -> Report:
        """One of parts; tables without rows are left out."""
        kept = tuple(Table(name, frame) for name, frame in tables if len(frame))
        return cls(title, kept, tuple(notes), pd.DataFrame(list(numbers), columns=NUMBERS), tuple(pictures))
