"""Reports as one self-contained page: no script, no font and no picture from elsewhere; tables as parts of another."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from loop_bench.report.texts import Texts

if TYPE_CHECKING:
    from loop_bench.report.report import Report


def page(report: Report, drawn: Mapping[str, bytes] = {}) -> str:
    """The page: headlines, the first picture, groups of rows, facts, the other pictures, and what the words mean.

    Tables turn into cards on a phone; page and pictures are light or dark as the reader has it.

    Args:
        report: what is to be shown.
        drawn: SVG of its pictures by their stems; others are drawn.
    """
    from loop_bench.report import inline, plots  # here, for a notebook's tables need no pictures, nor templates

    template = _templates().get_template("report.html")
    pictures = [
        (each, inline.svg(drawn.get(each.stem) or plots.svg(each.draw()), each.stem, each.caption))
        for each in report.pictures
    ]
    return str(template.render(report=report, pictures=pictures, terms={term.word for term in report.terms}))


@functools.cache
def _templates() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("loop_bench.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def table(texts: Texts, title: str) -> str:
    """A table for someone else's page, such as a notebook, in that page's style."""
    head = _row("th", texts.columns, ' style="text-align: left;"')
    body = "\n".join(_row("td", row) for row in texts.rows)
    shown = f'<table class="dataframe">\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>'
    return f"<p><b>{escape(title)}</b></p>\n{shown}"


def _row(kind: str, cells: Sequence[str], style: str = "") -> str:
    shown = (escape(cell).replace("\n", "<br>") for cell in cells)
    return f"<tr>{''.join(f'<{kind}{style}>{cell}</{kind}>' for cell in shown)}</tr>"


def lines(texts: Iterable[str]) -> str:
    """Lines for someone else's page, as one paragraph that keeps their ends."""
    return f"<p>{'<br>'.join(map(escape, texts))}</p>"
