"""Reports, and frames by themselves, for docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bench.report.report import Report


def page(report: Report, pictures: Mapping[str, str] = {}) -> str:
    """Its tables, under their titles where there are several, its notes, and its pictures.

    Args:
        report: what is to be shown.
        pictures: where each is, as a page names it, by its stem; others are left out.
    """
    parts = [
        _titled(table.title, table.frame) if len(report.tables) > 1 else render(table.frame) for table in report.tables
    ]
    parts += [notes(report.notes)] if report.notes else []
    parts += [f"![{each.caption}]({pictures[each.stem]})\n" for each in report.pictures if each.stem in pictures]
    return "\n".join(parts)


def render(frame: pd.DataFrame, footer: Sequence[str] = ()) -> str:
    """A frame of texts as a Markdown table, and the footer as a line of notes under it."""
    safe = frame.map(lambda text: _plain(str(text)).replace("|", "\\|").replace("\n", "<br>"))
    table = f"{safe.to_markdown(index=False, disable_numparse=True)}\n"
    return f"{table}\n{notes(footer)}" if footer else table


def notes(lines: Sequence[str]) -> str:
    """Lines as one paragraph that keeps their ends."""
    return "  \n".join(map(_plain, lines)) + "\n"  # two spaces: a line break


def _plain(text: str) -> str:
    """As it is read, of a text that may be a line of someone's program: no HTML, and no comment that ends a part."""
    return text.replace("<", "&lt;")


def _titled(title: str, frame: pd.DataFrame) -> str:
    return f"### {title[0].upper()}{title[1:]}\n\n{render(frame)}"
