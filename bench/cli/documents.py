"""The commands that put records into documents."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from loop_bench.enums import StrEnum
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.report import markdown, terminal
from loop_bench.report.files import FORMATS, SUFFIXES
from loop_bench.report.report import Report
from loop_bench.writing import write_whole


class Format(StrEnum):
    """The format of a report; those that are texts are in `loop_bench.report.files`."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    CSV = "csv"
    HTML = "html"


FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Default: by the ending of --into's file, else for the terminal."),
]
Into = Annotated[
    Path | None,
    typer.Option(
        help="Write it into this file. Of Markdown, only what stands between the two lines "
        f"{markdown.markers('NAME')[0]} and {markdown.markers('NAME')[1]} is replaced."
    ),
]
Name = Annotated[str | None, typer.Option(help="NAME in these two lines. Default: the kind of the record.")]
Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit code 1 if --into's file does not say what the record says.")
]

_DIFFERENCES = 20
"""Lines of them that are shown."""


def report(
    record: Annotated[Path, typer.Argument(metavar="RECORD", help="A record of any kind: the .json of a run.")],
    format: FormatOption = None,  # noqa: A002  # typer takes an option's name from it
    into: Into = None,
    name: Name = None,
    check: Check = False,
    table: Annotated[
        list[str] | None, typer.Option(metavar="TITLE", help="Only the table whose title begins so; may be repeated.")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP,...",
            help="A short table for a document of yours: the verdict and the most important rows of these groups. A "
            "run has speed, syncs, memory and survival.",
        ),
    ] = None,
) -> None:
    """Show a record of any kind, as a table for the terminal, Markdown, CSV with plain numbers, or a page with plots.

    Examples: loop-bench report results/runs/RECORD.json

    loop-bench report results/runs/RECORD.json --into report.html

    loop-bench report results/runs/RECORD.json --rows speed,syncs,survival --into README.md --check
    """
    shown = registry.report(registry.read(record))
    if rows is not None:
        if table:
            raise UsageError("--rows and --table: choose one; --rows is a table of its own")
        shown = shown.short(name.strip() for name in rows.split(","))
    elif table:
        shown = shown.only(table)
    if (rows or table) and _chosen(format, into) == Format.CSV:
        raise UsageError("--format csv: has all numbers of a record; --rows and --table choose tables of texts")
    publish(shown, format, into, name, check)


def claims(
    records: Annotated[
        list[Path], typer.Argument(metavar="RECORD...", help="A run, and as far as there are: survival, convergence.")
    ],
    format: FormatOption = None,  # noqa: A002  # as above
    into: Into = None,
    name: Name = None,
    check: Check = False,
) -> None:
    """Hold what was said of the change, before anything was measured, against records: claim by claim.

    A claim holds, does not hold, or cannot be told from these records, and it is said why.

    Example: loop-bench claims results/runs/RECORD.json results/runs/survival/survival.json
    """
    from loop_bench import builtin
    from loop_bench.records.claims import report as of_claims
    from loop_bench.records.claims.evidence import Evidence

    evidence = Evidence.of(map(registry.read, records), (builtin.BEFORE, builtin.AFTER), builtin.FIXED)
    publish(of_claims.report(evidence), format, into, name, check)


def publish(shown: Report, wanted: Format | None, into: Path | None, name: str | None, check: bool) -> None:
    """Prints a report, or writes or checks a file.

    Args:
        shown: the report.
        wanted: its format; None: by the file's name.
        into: the file; None to print.
        name: of the part of a Markdown file; None: what the report is of.
        check: whether to compare in place of writing.

    Raises:
        UsageError: options that do not go together, or a file that cannot be read or written, or has no such part.
        Exit: code 1 when it is to be checked, and differs.
    """
    if into is None:
        if check or name:
            raise UsageError(f"{'--check' if check else '--name'}: needs --into FILE")
        _print(shown, wanted or Format.TERMINAL)
        return
    chosen = _chosen(wanted, into)
    if chosen == Format.TERMINAL:
        raise UsageError(f"--into {into}: name a --format; it is known by itself for {', '.join(SUFFIXES)}")
    if name and chosen != Format.MARKDOWN:
        raise UsageError(
            f"--name {name}: is of a part of a Markdown file, and {into} is to be {chosen.value} as a whole"
        )
    old, new = _old_and_new(FORMATS[chosen.value](shown), into, chosen == Format.MARKDOWN, name or shown.title)
    if check:
        _compare(old, new, into)
    elif old == new:
        print(f"{into}: says so already")
    else:
        try:
            write_whole(into, new)
        except UsageError as error:
            raise UsageError(f"--into {into}: {error}") from None
        print(f"written: {into}")


def _chosen(wanted: Format | None, into: Path | None) -> Format:
    """The format that was asked for, or that of the file's name."""
    return wanted or Format(SUFFIXES.get(into.suffix.lower(), Format.TERMINAL) if into else Format.TERMINAL)


def _print(shown: Report, wanted: Format) -> None:
    if wanted == Format.TERMINAL:
        terminal.report(terminal.console(in_a_pipe=160), shown)
    else:
        sys.stdout.write(FORMATS[wanted.value](shown))


def _old_and_new(content: str, into: Path, is_part: bool, name: str) -> tuple[str | None, str]:
    """The text of a file and the one that it is to have; None where there is no such file."""
    try:
        old = into.read_bytes().decode() if into.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--into {into}: cannot be read ({error})") from None
    if not is_part:
        return old, content
    if old is None:
        lines = " and ".join(markdown.markers(name))
        raise UsageError(f"--into {into}: no such file; a Markdown file must already have the lines {lines}")
    return old, markdown.replaced(old, name, content, str(into))


def _compare(old: str | None, new: str, into: Path) -> None:
    if old == new:
        print(f"{into}: fresh")
        return
    changed = difflib.unified_diff(
        (old or "").splitlines(), new.splitlines(), str(into), "the record says", "", "", 0, ""
    )
    lines = list(changed)
    terminal.complain("\n".join(line if len(line) <= 200 else f"{line[:199]}…" for line in lines[:_DIFFERENCES]))
    terminal.complain(f"{into}: stale: {'there is no such file' if old is None else 'the record says something else'}")
    raise typer.Exit(1)
