"""A part of someone's file that is made by a command, between two lines that say so."""

from __future__ import annotations

import re

from bench.errors import UsageError


def lines(name: str) -> tuple[str, str]:
    """The two lines around the part of that name; comments to whoever reads the page."""
    return f"<!-- loop-bench: begin {name} -->", f"<!-- loop-bench: end {name} -->"


def replaced(text: str, name: str, content: str, where: str) -> str:
    """A text with other content there, and not a character changed anywhere else.

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
    first, last = lines(name)
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
