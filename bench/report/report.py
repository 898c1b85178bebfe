"""A report: what there is to show of any record, in any format."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from typing_extensions import Self

from loop_bench.enums import StrEnum
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


class Tone(StrEnum):
    """Whether a headline is good news; renderers choose colours by it."""

    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"
    PLAIN = "plain"


class Headline(NamedTuple):
    """The answer of a record, with which a report begins: a word, such as a verdict, and its figure."""

    word: str
    text: str
    tone: Tone = Tone.PLAIN

    @property
    def sign(self) -> str:
        """What stands between the word, which may be a question, and the text."""
        return "" if self.word.endswith("?") else ":"


class Fact(NamedTuple):
    """One condition under which a record was made, by its name: machine, versions, settings."""

    name: str
    text: str
    is_brief: bool = False  # whether a short table has it too


class Table(NamedTuple):
    """A frame of texts: each number with its interval, its unit there or in the name of its row or column."""

    title: str
    frame: pd.DataFrame
    answer: str = ""  # what the table says, in one sentence
    shown: int | None = None  # rows that are shown at once; the rest is folded. None: all
    key: str = ""  # the name by which a short table takes its rows; empty: it has none
    brief: pd.DataFrame | None = None  # the rows that a short table takes

    @property
    def name(self) -> str:
        """The title as it stands in a heading."""
        return f"{self.title[:1].upper()}{self.title[1:]}"

    @property
    def heading(self) -> str:
        """The title, and what the table says."""
        return f"{self.name}: {self.answer}" if self.answer else self.name

    @property
    def head(self) -> pd.DataFrame:
        """The rows that are shown at once."""
        return self.frame.iloc[: self.shown]

    @property
    def folded(self) -> pd.DataFrame:
        """The rows after them; none where all are shown."""
        return self.frame.iloc[len(self.head) :]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A plot that is drawn when it is wanted."""

    stem: str  # of the names of its files
    caption: str  # what is to be seen, with units; for those who cannot see it, too
    draw: Callable[[], Figure]


class Term(NamedTuple):
    """A word of a report and what it means."""

    word: str
    meaning: str


@dataclasses.dataclass(frozen=True)
class Report:
    """A record as headlines, tables, facts, numbers and pictures: all that any renderer needs."""

    title: str
    tables: tuple[Table, ...]  # none of them empty
    facts: tuple[Fact, ...]  # the conditions, without which the tables mean nothing; machine and versions last
    numbers: pd.DataFrame  # the tables' figures as numbers, in the columns NUMBERS
    pictures: tuple[Picture, ...] = ()  # the one that shows the headline first
    headlines: tuple[Headline, ...] = ()
    doubts: tuple[str, ...] = ()  # reasons to trust the headlines less
    terms: tuple[Term, ...] = ()
    groups: Mapping[str, pd.DataFrame] = dataclasses.field(default_factory=dict)
    """Rows for short tables, by the keys of their tables; without rows where nothing was measured."""

    def only(self, titles: Iterable[str]) -> Report:
        """A report of some of these tables, without pictures.

        Args:
            titles: the beginnings of their titles.

        Raises:
            UsageError: no table has a title that begins so.
        """
        kept = [table for title in titles for table in self._beginning(title)]
        return dataclasses.replace(self, tables=tuple(kept), pictures=(), terms=())

    def _beginning(self, title: str) -> list[Table]:
        found = [table for table in self.tables if table.title.lower().startswith(title.lower())]
        if not found:
            raise UsageError(
                f"no table is called {title!r}; there are {', '.join(repr(each.title) for each in self.tables)}"
            )
        return found

    def short(self, keys: Iterable[str]) -> Report:
        """A report of one short table: the most important rows of some groups, and the facts that belong to them.

        Args:
            keys: of the groups, in the order of the rows.

        Raises:
            UsageError: there is no group of rows with such a key.
        """
        wanted = list(dict.fromkeys(keys))
        if unknown := [key for key in wanted if key not in self.groups]:
            if not self.groups:
                raise UsageError(f"a record of {self.title} has no groups of rows; one of a run has")
            known = ", ".join(self.groups)
            raise UsageError(f"no rows are called {', '.join(map(repr, unknown))}; there are {known}")
        frame = pd.concat([self.groups[key] for key in wanted])
        if frame.empty:
            raise UsageError(f"{', '.join(wanted)}: nothing of this was measured")
        facts = tuple(fact for fact in self.facts if fact.is_brief)
        return dataclasses.replace(self, tables=(Table(self.title, frame),), facts=facts, pictures=(), terms=())

    @classmethod
    def of(
        cls,
        title: str,
        tables: Iterable[Table],
        facts: Iterable[Fact],
        numbers: Iterable[Number | None] = (),
        pictures: Iterable[Picture] = (),
        headlines: Iterable[Headline] = (),
        doubts: Iterable[str] = (),
        terms: Iterable[Term] = (),
    ) -> Report:
        """A report of its parts, without tables that have no rows and numbers that were not measured.

        Args:
            title: what the record is of.
            tables: in their order.
            facts: in their order.
            numbers: of the tables.
            pictures: in their order.
            headlines: the most important first.
            doubts: in their order.
            terms: in their order.
        """
        tables = tuple(tables)
        kept = tuple(table for table in tables if len(table.frame))
        groups = {table.key: table.brief for table in tables if table.key and table.brief is not None}
        known = pd.DataFrame([number for number in numbers if number], columns=NUMBERS)
        return cls(
            title, kept, tuple(facts), known, tuple(pictures), tuple(headlines), tuple(doubts), tuple(terms), groups
        )
