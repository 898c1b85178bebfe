"""Reports as files: their formats, and what a command writes into a folder."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console

from loop_bench.document import Document
from loop_bench.report import html, markdown, plots, terminal
from loop_bench.report.report import Picture, Report, Table
from loop_bench.writing import write_whole


def comma_separated(report: Report) -> str:
    """A report's numbers, each with its unit and interval, a row each, and its facts as lines that begin with #.

    A report without numbers, such as that of the claims, has the texts of its tables instead.
    pandas.read_csv(file, comment="#") reads it: texts are in quotes, for a # may be in the name of an op.
    """
    rows = _numbers(report) if len(report.numbers) else "\n".join(map(_texts, report.tables))
    notes = [f"{each.word}{each.sign} {each.text}" for each in report.headlines]
    notes += [*report.doubts, *(f"{fact.name}: {fact.text}" for fact in report.facts)]
    return rows + "".join(f"# {line}\n" for note in notes for line in note.splitlines())


def _texts(table: Table) -> str:
    return table.frame.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)


def _numbers(report: Report) -> str:
    measured = ["value", "low", "high"]
    found = report.numbers.astype(dict.fromkeys(measured, float))
    found[measured] = found[measured].map(lambda value: float(f"{value:.6g}"))
    return found.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


FORMATS: dict[str, Callable[[Report], str]] = {"markdown": markdown.page, "csv": comma_separated, "html": html.page}
"""The formats of a report that are texts: one renderer each."""

SUFFIXES = {".md": "markdown", ".csv": "csv", ".html": "html"}
"""Formats by the endings of file names."""


@dataclasses.dataclass(frozen=True)
class Output:
    """A report, and lines that say where it was written."""

    report: Report
    where: tuple[str, ...] = ()

    def show(self, console: Console) -> None:
        """Prints the tables, what must be known with them, and where all of it is."""
        terminal.report(console, self.report)
        terminal.notes(console, self.where)


def leave(record: Document, report: Callable[[Document], Report], folder: Path, also: Iterable[str] = ()) -> Output:
    """Writes a record by the name of its kind, and its report beside it.

    Args:
        record: of an experiment.
        report: makes one of the record, once that is safe on disk.
        folder: is made if it is missing; files of an earlier record are replaced.
        also: more lines about the folder.

    Raises:
        UsageError: the folder cannot be written.
    """
    path = record.write_as(folder / f"{record.kind}.json")
    return beside(path, report(record), also)


def beside(path: Path, report: Report, also: Iterable[str] = ()) -> Output:
    """Writes a report as Markdown, as a page and as its pictures, beside the file of its record.

    Args:
        path: of the record.
        report: of the record.
        also: as `leave` has it.

    Raises:
        UsageError: the folder cannot be written.
    """
    drawn = {}
    for each in report.pictures:
        _, svg = plots.save(each.draw(), path.with_name(picture_name(path, each)))
        drawn[each.stem] = svg.read_bytes()
    write_whole(path.with_suffix(".md"), page(report, path))
    write_whole(path.with_suffix(".html"), html.page(report, drawn))
    names = ", ".join(picture_name(path, each) for each in report.pictures)
    pictures = f"; {names} as .png and .svg" if names else ""
    return Output(report, (f"written: {path}, and beside it: .md, .html{pictures}", *also))


def page(report: Report, path: Path) -> str:
    """A report as Markdown that lies beside its record, with its pictures as SVG beside it."""
    return markdown.page(report, {each.stem: f"{picture_name(path, each)}.svg" for each in report.pictures})


def refresh(texts: Iterable[tuple[Path, str]], root: Path, check: bool, stale: str = "stale") -> bool:
    """Writes files that do not have their text, and prints their names.

    Args:
        texts: files and what is to stand in them.
        root: a folder above them; names are printed from there.
        check: whether to print the names alone.
        stale: is printed after a name then.

    Returns:
        Whether any file had another text.
    """
    changed = [(path, text) for path, text in texts if not path.exists() or path.read_text("utf-8") != text]
    for path, text in changed:
        print(f"{path.relative_to(root).as_posix()}: {stale if check else 'written'}")
        if not check:
            write_whole(path, text)
    return bool(changed)


def picture_name(path: Path, picture: Picture) -> str:
    """The name of a picture's files, beside that of its record, without their endings."""
    return f"{path.stem}-{picture.stem}"
