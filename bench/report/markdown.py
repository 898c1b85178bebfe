"""Reports as Markdown, by themselves or as a part of someone's file between two lines that name it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from loop_bench.errors import UsageError
from loop_bench.report.texts import SOURCE, Texts, printable

if TYPE_CHECKING:
    from loop_bench.report.report import Picture, Report, Table, Term


def page(report: Report, pictures: Mapping[str, str] = {}) -> str:
    """A report: its headlines, the first picture, its tables, the facts, and the other pictures.

    Tables have headings where there are several. Rows that fold are in a `<details>`, which GitHub and MkDocs show
    closed.

    Args:
        report: what is to be shown.
        pictures: addresses of pictures by their stems; others are left out.
    """
    first, *others = [_picture(each, pictures[each.stem]) for each in report.pictures if each.stem in pictures] or [""]
    parts = [
        "  \n".join(f"**{_line(each.word)}**{each.sign} {_line(each.text)}" for each in report.headlines),
        _list(_line(doubt) for doubt in report.doubts),
        first,
        *(_table(table, is_titled=len(report.tables) > 1) for table in report.tables),
        _list(f"**{_line(fact.name)}**: {_line(fact.text)}" for fact in report.facts),
        *others,
        _terms(report.terms),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _picture(picture: Picture, address: str) -> str:
    caption = _line(picture.caption).replace("]", "\\]")
    return f"![{caption}]({address})"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _terms(terms: Iterable[Term]) -> str:
    """What the words mean, folded; nothing for no words."""
    known = _list(f"**{term.word}**: {term.meaning}" for term in terms)
    return f"<details>\n<summary>What the words mean</summary>\n\n{known}\n\n</details>" if known else ""


def _table(table: Table, is_titled: bool) -> str:
    """A table under its heading, with its rows that fold after it."""
    parts = [f"### {_line(table.heading)}"] if is_titled else []
    parts.append(render(Texts.of(table.head)).rstrip())
    if count := len(table.folded):
        summary = f"<details>\n<summary>{count} more</summary>"
        # The empty lines make GitHub and MkDocs read the table as Markdown.
        parts += [summary, render(Texts.of(table.folded)).rstrip(), "</details>"]
    return "\n\n".join(parts)


def render(texts: Texts, footer: Sequence[str] = ()) -> str:
    """A table of texts as Markdown, its columns aligned for who reads the source, and the footer as notes under it."""
    code = [name == SOURCE for name in texts.columns]
    rows = [list(map(_cell, texts.columns))]
    rows += [
        [_code(cell) if is_code else _cell(cell) for cell, is_code in zip(row, code, strict=True)] for row in texts.rows
    ]
    widths = [max(len(cells[0]) + 2, *map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    rule = "|".join(f":{'-' * (width + 1)}" for width in widths)
    table = "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])]) + "\n"
    return f"{table}\n{notes(footer)}" if footer else table


def _code(text: str) -> str:
    """A line of a program, of which no character is markup."""
    text = printable(text)
    if "|" in text or "`" in text:  # Markdown's readers differ on how to escape these in code
        return f"<code>{''.join(map(_entity, text))}</code>"
    return f"`{text}`" if text else ""


def _entity(character: str) -> str:
    return character if character.isalnum() or character in " ()[]{}" else f"&#{ord(character)};"


def _cell(text: str) -> str:
    return plain(text).strip().replace("|", "\\|").replace("\n", "<br>")


def notes(lines: Sequence[str]) -> str:
    """Lines as one paragraph that keeps their ends."""
    return "  \n".join(map(plain, lines)) + "\n"  # two spaces: a line break


def plain(text: str) -> str:
    """A text that may be someone's, as it reads: no HTML, no link, and no comment that ends a part; its lines stay."""
    return printable(text).replace("<", "&lt;").replace("](", "]\\(")


def _line(text: str) -> str:
    """A text that may be someone's, as one line, in which nothing begins a heading or a list."""
    return " ".join(plain(text).split())


def markers(name: str) -> tuple[str, str]:
    """The two lines around the part of a file that has this name; comments, which a page does not show."""
    return f"<!-- loop-bench: begin {name} -->", f"<!-- loop-bench: end {name} -->"


def replaced(text: str, name: str, content: str, where: str) -> str:
    """A text with other content between two markers, and not a character changed anywhere else.

    Args:
        text: of a file; its ends of lines are kept.
        name: of the part.
        content: Markdown.
        where: the file, for errors.

    Raises:
        UsageError: the lines are not both there, once and in their order.
    """
    begin, end = _found(text, name, where)
    newline = "\r\n" if "\r\n" in text else "\n"
    inner = f"\n{content.rstrip()}\n".replace("\n", newline)
    return f"{text[:begin]}{newline}{inner}{newline}{text[end:]}"


def _found(text: str, name: str, where: str) -> tuple[int, int]:
    """Where the content begins and ends."""
    first, last = markers(name)
    places = {}
    for line in (first, last):
        # On a line of its own: a page may also speak of it.
        found = [*re.finditer(rf"^[ \t]*{re.escape(line)}[ \t]*\r?$", text, re.MULTILINE)]
        if len(found) != 1:
            times = f"is there {len(found)} times" if found else "is missing"
            raise UsageError(f"{where}: {line} {times}; what is written goes between {first} and {last}")
        places[line] = found[0].start() + found[0][0].index(line)
    begin, end = places[first] + len(first), places[last]
    if end < begin:
        raise UsageError(f"{where}: {last} stands before {first}")
    return begin, end
