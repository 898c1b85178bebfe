"""Texts and tables as Markdown that GitHub and the site show alike."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(
    r"""(?<![\w`/.=-])(?:
        --[a-z][\w-]*(?:[ =][A-Z][A-Z_]+(?::[A-Z]+)?)?            # an option, with the name of its value
      | [a-z]+://[\w.:/]*\w                                       # an address
      | [A-Z][A-Z0-9]*_[A-Z0-9_]+(?:=[A-Z]+:[A-Z]+)?              # an environment variable
      | [a-z_][\w.]*:[A-Za-z_]\w*(?:\(\w*\))?                   # module:function
      | [A-Z]+:[A-Z]+                                             # HOST:PORT
      | [A-Za-z_]\w*=[^\s,;)]*[^\s,;).](?:,[^\s,;)]*[^\s,;).])*   # name=value
      | (?!e\.g|i\.e)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?:\(\))?     # a dotted name
      | [A-Za-z_]\w*\([a-z_]*\)                                   # a call
    )""",
    re.VERBOSE,
)


def prose(text: str) -> str:
    """A text of a docstring or an option's help as Markdown, with what is code in code font."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(part if number % 2 else _plain(part) for number, part in enumerate(parts))


def _plain(text: str) -> str:
    # A comment, such as a marker, is code as a whole.
    parts = re.split(r"(<!--.*?-->)", text)
    return "".join(
        f"`{part}`" if number % 2 else _CODE.sub(r"`\g<0>`", part).replace("<", "&lt;")
        for number, part in enumerate(parts)
    )


def code(value: object) -> str:
    """A value in code font; nothing for nothing."""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if str(value) else ""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns that are empty are left out."""
    found = [list(row) for row in rows]
    kept = [place for place in range(len(titles)) if any(row[place] for row in found)]
    lines = [[titles[place] for place in kept], ["---"] * len(kept), *([row[place] for place in kept] for row in found)]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    """A cell whose bars end no column: in code, GitHub and Python-Markdown differ on how one is written."""
    coded = re.sub(r"`([^`]*\|[^`]*)`", lambda found: f"<code>{html.escape(found[1])}</code>", text)
    return coded.replace("|", "&#124;")


def paragraphs(text: str) -> list[str]:
    """Paragraphs of a docstring, each in one line."""
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", inspect.cleandoc(text)) if each.strip()]
