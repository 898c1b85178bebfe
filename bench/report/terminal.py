"""The comparison for a terminal."""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.table import Table


def show(console: Console, frame: pd.DataFrame, footer: list[str]) -> None:
    """Prints the frame as a table that folds into the terminal's width, and the footer under it."""
    table = Table(title="before / after", title_justify="left", header_style="bold", row_styles=["", "dim"])
    for index, column in enumerate(frame.columns):
        table.add_column(column, overflow="fold", ratio=2 if index else 3)
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    console.print(table, markup=False)
    for line in footer:
        console.print(line, highlight=False, markup=False)
