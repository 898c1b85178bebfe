"""What a command leaves in a folder: the record, and what is made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from rich.console import Console

from bench.document import Document, write_whole
from bench.experiments import kinds
from bench.report import html, markdown, plots, terminal
from bench.report.report import Picture, Report


@dataclasses.dataclass(frozen=True)
class Left:
    """A report, and where it is written."""

    report: Report
    where: tuple[str, ...]  # in words

    @classmethod
    def nowhere(cls, record: Document, *why: str) -> Self:
        """Of a record that is not written."""
        return cls(kinds.report(record), why)

    def show(self, console: Console) -> None:
        """Prints the tables, what must be known with them, and where all of it is."""
        terminal.report(console, self.report)
        terminal.notes(console, self.where)


def leave(record: Document, folder: Path, also: Iterable[str] = ()) -> Left:
    """Writes a record by the name of its kind, and what is made of it beside it.

    Args:
        record: of an experiment.
        folder: is made if it is missing; what is there of an earlier one is replaced.
        also: to be said of the folder.

    Raises:
        UsageError: the folder cannot be written.
    """
    return beside(record, record.write_as(folder / f"{record.kind}.json"), also)


def beside(record: Document, path: Path, also: Iterable[str] = ()) -> Left:
    """Writes Markdown, a page and the pictures of a record beside its file.

    Arguments and errors are those of `leave`.
    """
    report = kinds.report(record)
    drawn = {}
    for each in report.pictures:
        _, svg = plots.save(each.draw(), path.with_name(picture_name(path, each)))
        drawn[each.stem] = svg.read_bytes()
    write_whole(path.with_suffix(".md"), page(report, path))
    write_whole(path.with_suffix(".html"), html.page(report, drawn))
    names = ", ".join(picture_name(path, each) for each in report.pictures)
    pictures = f"; {names} as .png and .svg" if names else ""
    return Left(report, (f"written: {path}, and beside it: .md, .html{pictures}", *also))


def page(report: Report, path: Path) -> str:
    """A report as Markdown that lies beside its record, with its pictures as SVG beside it."""
    return markdown.page(report, {each.stem: f"{picture_name(path, each)}.svg" for each in report.pictures})


def picture_name(path: Path, picture: Picture) -> str:
    """Of a picture's files beside that of its record, without their endings."""
    return f"{path.stem}-{picture.stem}"
