"""Reports and tables for a terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from loop_bench.report.texts import Texts

if TYPE_CHECKING:
    from loop_bench.report.report import Report


def console(in_a_pipe: int) -> Console:
    """For standard output: as wide as the terminal, and where there is none, which would fold every cell, so wide."""
    return Console(width=None if os.isatty(1) else in_a_pipe)


def show(console: Console, texts: Texts, footer: Sequence[str], title: str) -> None:
    """Prints a table that folds into the terminal's width, and the footer under it."""
    table = Table(title=title, title_justify="left", header_style="bold", row_styles=["", "dim"])
    for column in texts.columns:
        table.add_column(column, overflow="fold")
    for row in texts.rows:
        table.add_row(*row)
    console.print(table, markup=False)
    notes(console, footer)


def report(console: Console, shown: Report) -> None:
    """Prints the tables of a report, and its notes."""
    for title, frame in shown.tables:
        show(console, Texts.of(frame), [], title)
    notes(console, shown.notes)


def complain(message: str) -> None:
    """Says to standard error what went wrong."""
    Console(stderr=True).print(message, soft_wrap=True, highlight=False, markup=False)


def notes(console: Console, lines: Sequence[str]) -> None:
    """Prints each on a line of its own."""
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
