"""The formats of a report that are texts: one renderer each."""

from __future__ import annotations

import csv
from collections.abc import Callable

from bench.report import html, markdown
from bench.report.report import Report, Table


def comma_separated(report: Report) -> str:
    """Its numbers, each with its unit and interval, a row each, and its notes as lines that begin with #.

    Of a report without numbers, such as that of the claims, the texts of its tables.
    pandas.read_csv(file, comment="#") reads it: texts are in quotes, for a # may be in the name of an op.
    """
    rows = _numbers(report) if len(report.numbers) else "\n".join(map(_texts, report.tables))
    return rows + "".join(f"# {line}\n" for note in report.notes for line in note.splitlines())


def _texts(table: Table) -> str:
    return table.frame.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)


def _numbers(report: Report) -> str:
    measured = ["value", "low", "high"]
    found = report.numbers.astype(dict.fromkeys(measured, float))
    found[measured] = found[measured].map(lambda value: float(f"{value:.6g}"))
    return found.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


FORMATS: dict[str, Callable[[Report], str]] = {"markdown": markdown.page, "csv": comma_separated, "html": html.page}

SUFFIXES = {".md": "markdown", ".csv": "csv", ".html": "html"}
"""By what the name of a file ends with."""
