"""Frames for docs."""

from __future__ import annotations

import pandas as pd


def render(frame: pd.DataFrame, footer: list[str]) -> str:
    """The frame as a Markdown table, and the footer as a line of notes under it."""
    safe = frame.map(lambda text: str(text).replace("|", "\\|").replace("\n", "<br>"))
    table = safe.to_markdown(index=False, disable_numparse=True)
    return f"{table}\n\n{notes(footer)}" if footer else f"{table}\n"


def notes(lines: list[str]) -> str:
    """Lines as one paragraph that keeps their ends."""
    return "  \n".join(lines) + "\n"  # two spaces: a line break
