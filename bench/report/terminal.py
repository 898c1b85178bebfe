"""Reports and tables for a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from loop_bench.report.texts import Texts, printable

if TYPE_CHECKING:
    from loop_bench.report.report import Fact, Headline, Report, Table

_STYLES = {"good": "bold green", "bad": "bold red", "unsure": "bold yellow", "plain": "bold"}
"""Style of a headline's word, by its tone."""

_NAMES = 30
"""Columns, at most, of the names in a list."""

_LONG_WORD = 20
"""Letters from which a word may be cut: a path, a line of code."""

_BETWEEN = 3
"""Columns of the terminal between two of a table."""


def console(in_a_pipe: int) -> Console:
    """For standard output: as wide as the terminal, and where there is none, which would fold every cell, so wide."""
    return Console(width=None if os.isatty(1) else in_a_pipe)


def show(console: Console, texts: Texts, footer: Sequence[str], title: str) -> None:
    """Prints a table that folds into the terminal's width, and the footer under it."""
    console.print(Text(title, style="bold"), highlight=False)
    for part in [_grid(texts)] if _fits(texts, console.width) else _cards(texts):
        console.print(part)
    notes(console, footer)


def _fits(texts: Texts, width: int) -> bool:
    """Whether a table can be read in so many columns: no word of it is cut, but for very long ones."""
    cells = zip(texts.columns, *texts.rows, strict=True)
    words = [max(len(word) for cell in column for word in ["", *cell.split()]) for column in cells]
    return sum(min(longest, _LONG_WORD) for longest in words) + _BETWEEN * (len(words) - 1) <= width


def _cards(texts: Texts) -> Iterator[Text | Padding]:
    """A table as a list for each row, under its first cell: for a terminal that is too narrow for its columns."""
    _, *names = texts.columns
    for first, *cells in texts.rows:
        yield _text(first)
        known = [(name, cell) for name, cell in zip(names, cells, strict=True) if cell]
        yield Padding(_list(known, style="dim"), (0, 0, 0, 2))


def _grid(texts: Texts) -> Grid:
    """A table with a line under its head alone, which leaves the most room for its cells."""
    grid = Grid(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for column in texts.columns:
        grid.add_column(column, overflow="fold")
    for row in texts.rows:
        grid.add_row(*map(_text, row))
    return grid


def report(console: Console, shown: Report) -> None:
    """Prints the headlines of a report, its tables and its facts."""
    for headline in shown.headlines:
        console.print(_headline(headline))
    for doubt in shown.doubts:
        console.print(_text(doubt, style="yellow"))
    for table in shown.tables:
        console.print()
        _table(console, table)
    console.print()
    facts(console, shown.facts)


def _headline(headline: Headline) -> Text:
    word = _text(headline.word, style=_STYLES[headline.tone])
    return word + _text(f"{headline.sign} {headline.text}")


def _text(text: str, style: str = "") -> Text:
    """A text that may be someone's: neither its brackets nor its control characters mean anything."""
    return Text(printable(text), style=style)


def _table(console: Console, table: Table) -> None:
    """Prints a table; of what is folded elsewhere, how much there is."""
    show(console, Texts.of(table.head), [], table.heading)
    if count := len(table.folded):
        console.print(Text(f"{count} more in the report's page and in the record", style="dim"))


def facts(console: Console, known: Iterable[Fact]) -> None:
    """Prints facts as a list, their names in a column of their own."""
    console.print(_list([(fact.name, fact.text) for fact in known], style="bold"))


def _list(named: Iterable[tuple[str, str]], style: str) -> Grid:
    """Texts beside their names."""
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=style, max_width=_NAMES)
    grid.add_column(overflow="fold")
    for name, text in named:
        grid.add_row(_text(name), _text(text))
    return grid


def complain(message: str) -> None:
    """Says to standard error what went wrong."""
    Console(stderr=True).print(message, soft_wrap=True, highlight=False, markup=False)


def notes(console: Console, lines: Iterable[str]) -> None:
    """Prints each on a line of its own."""
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
