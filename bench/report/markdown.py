"""Frames for docs."""

from __future__ import annotations

import pandas as pd


def render(frame: pd.DataFrame, footer: list[str]) -> str:
    """The frame as a Markdown table, and the footer as a line of notes under it."""
    safe = frame.map(lambda text: str(text).replace("|", "\\|"))
    table = safe.to_markdown(index=False, disable_numparse=True)
    notes = "  \n".join(footer)  # two spaces: a line break
    return f"{table}\n\n{notes}\n"
