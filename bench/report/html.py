"""Reports as one self-contained page: no script, no font and no picture from elsewhere; tables as parts of another."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

import jinja2
import markupsafe
import pandas as pd

from loop_bench.report import plots
from loop_bench.report.report import Report

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("loop_bench.report"), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


def page(report: Report, drawn: Mapping[str, bytes] = {}) -> str:
    """The page: tables that turn into cards on a phone, pictures inside, light or dark as the reader has it.

    Args:
        report: what is to be shown.
        drawn: SVG of its pictures by their stems; others are drawn.
    """
    template = _TEMPLATES.get_template("report.html")
    pictures = [(each, _inside(drawn.get(each.stem) or plots.svg(each.draw()))) for each in report.pictures]
    return template.render(report=report, pictures=pictures)


def table(frame: pd.DataFrame, title: str) -> str:
    """A frame of texts as a table for someone else's page, such as a notebook, in that page's style."""
    safe = frame.map(lambda text: markupsafe.escape(text).replace("\n", markupsafe.Markup("<br>")))
    rows = safe.to_html(index=False, escape=False, border=0, justify="left")
    return f"<p><b>{markupsafe.escape(title)}</b></p>\n{rows}"


def lines(texts: Iterable[str]) -> str:
    """Lines as one paragraph that keeps their ends, for the same."""
    return f"<p>{markupsafe.Markup('<br>').join(texts)}</p>"


def _inside(svg: bytes) -> str:
    """A picture as its own address: as an image, for names within one SVG must not meet those of another."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
