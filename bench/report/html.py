"""Reports as one self-contained page: no script, no font and no picture from elsewhere."""

from __future__ import annotations

import base64

import jinja2

from bench.report import plots
from bench.report.report import Picture, Report

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("bench.report"), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


def page(report: Report) -> str:
    """The page: tables that turn into cards on a phone, pictures inside, light or dark as the reader has it."""
    template = _TEMPLATES.get_template("report.html")
    return template.render(report=report, pictures=[(each, _inside(each)) for each in report.pictures])


def _inside(picture: Picture) -> str:
    """A picture as its own address: as an image, for names within one SVG must not meet those of another."""
    return f"data:image/svg+xml;base64,{base64.b64encode(plots.svg(picture.draw())).decode()}"
