"""A table of texts, as every renderer of a single table takes it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

SOURCE = "source"
"""The name of a column of source lines, which renderers set as code."""


def printable(text: str) -> str:
    """A text without control characters, which a terminal or a page would obey; its lines stay."""
    return _CONTROL.sub("", text)


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 round`, `2 rounds`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


class Texts(NamedTuple):
    """Cells of a table by row and column; a cell may have several lines."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]  # [rows, columns]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Texts:
        """The cells of a frame, without its index."""
        return cls([*map(str, frame.columns)], [[*map(str, row)] for row in frame.itertuples(index=False)])

    def without(self, columns: Collection[str]) -> Texts:
        """The table less some of its columns."""
        kept = [place for place, name in enumerate(self.columns) if name not in columns]
        return Texts([self.columns[at] for at in kept], [[row[at] for at in kept] for row in self.rows])
