"""Plotting that all pictures share: PNG and SVG, on a white ground, legible without colour and on a phone."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from loop_bench.settings import ARMS, NULL
from loop_bench.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS: dict[str, dict[str, Any]] = {
    ARMS[0]: {"color": "#b3541e", "marker": "s", "linestyle": "--"},
    NULL: {"color": "#666666", "marker": "^", "linestyle": ":"},
    ARMS[1]: {"color": "#1f5fa8", "marker": "o", "linestyle": "-"},
}
"""Looks of the timed loops: each differs from the others in shape as well as in colour."""

WIDTH = 6.0
"""Inches, of every figure: so wide, with no text below SMALL, it can be read on a phone."""

SMALL = 8.0
"""Points."""

VERBATIM: dict[str, Any] = {"parse_math": False}
"""For texts with names or code of a user's in them: a dollar sign is no formula there."""

_DPI = 150

_ROUND = {1.2: (1, 2, 3, 5, 7), 2.5: (1, 2, 5), math.inf: (1,)}
"""First digits of the numbers at a logarithmic axis, by the most decades with room for them."""

_LETTER = 0.075  # inches, of SMALL text, on average and a little more

_KEY = 0.6  # inches, of a legend's line with what is around it


def figure(height: float) -> Figure:
    """An empty one, so many inches high."""
    from matplotlib.figure import Figure  # here and below: to speak of pictures is not to draw them

    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")


def linestyle(loop: str) -> dict[str, Any]:
    """Colour and dashes of a loop, without its marker: for lines of many points."""
    return {key: value for key, value in LOOKS[loop].items() if key != "marker"}


def letters(inches: float) -> int:
    """How many SMALL letters there is room for."""
    return max(8, int(inches / _LETTER))


def wrapped(text: str, lines: int = 3, inches: float = WIDTH) -> str:
    """A text in lines of SMALL letters that are no longer than that; where some is left out there is an ellipsis."""
    width = letters(inches)
    found = textwrap.wrap(text, width)
    return "\n".join(found if len(found) <= lines else [*found[: lines - 1], cut(f"{found[lines - 1]} …", width)])


def cut(text: str, most: int) -> str:
    """A text of so many letters at most, the last of them an ellipsis where some are left out."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def legend(drawn: Figure, named: Mapping[str, Artist], below: bool = False) -> None:
    """A legend above everything, or below it, in as many columns as there is room for."""
    labels = [cut(label, letters(WIDTH - _KEY)) for label in named]
    widths = [len(label) * _LETTER + _KEY for label in labels]
    columns = len(labels) if sum(widths) <= WIDTH else max(1, int(WIDTH / max(widths)))
    made = drawn.legend(
        named.values(), labels, loc="outside lower center" if below else "outside upper center", ncols=columns,
        frameon=False, fontsize=SMALL, columnspacing=1.5,
    )  # fmt: skip
    for text in made.get_texts():
        text.set_parse_math(False)


def handles(drawn: Figure) -> dict[str, Artist]:
    """What is labelled in a figure, each label once."""
    return {
        label: handle for axes in drawn.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }


def logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """Makes the axis of what is drawn already logarithmic, with plain numbers at round values, as many as have room."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    decades = math.log10(high / low)
    axis.set_major_locator(LogLocator(subs=next(subs for most, subs in _ROUND.items() if decades <= most)))
    axis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))
    axis.set_minor_locator(NullLocator())


def save(drawn: Figure, stem: Path) -> list[Path]:
    """Writes a figure as PNG and SVG; gives their paths.

    Raises:
        UsageError: the folder cannot be written.
    """
    return [
        write_whole(stem.with_name(f"{stem.name}.{form}"), content)
        for form, content in (("png", png(drawn)), ("svg", svg(drawn)))
    ]


def png(drawn: Figure) -> bytes:
    """A figure as PNG."""
    return _as("png", drawn, dpi=_DPI, metadata={"Software": None})


def svg(drawn: Figure) -> bytes:
    """A figure as SVG."""
    return _as("svg", drawn, metadata={"Date": None})


def _as(form: str, drawn: Figure, **how: Any) -> bytes:
    """Equal bytes for equal records: without a salt names of clip paths are random, and SVG has a date."""
    import matplotlib as mpl

    written = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "loop-bench", "svg.fonttype": "none"}), warnings.catch_warnings():
        # A letter that the font has not, in a name or a line of code of a user's: a box in its place is no news.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        drawn.savefig(written, format=form, **how)
    return written.getvalue()


_LARGEST = float(np.finfo(np.float32).max)


def running_median(values: np.ndarray, width: int) -> np.ndarray:
    """The median of `width` neighbours around each of values [n]; fewer at both ends."""
    found = pd.Series(values).rolling(width, center=True, min_periods=1).median()
    return found.to_numpy(float)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of `width` neighbours around each of values [n]; NaN counts as missing, and stays where it is."""
    series = pd.Series(values, dtype=float)
    found = series.rolling(width, center=True, min_periods=1).mean().where(series.notna())
    return found.to_numpy(float)


def finite(values: np.ndarray) -> np.ndarray:
    """Values [n] with NaN for those beyond a float32, the infinite ones among them: no axis reaches so far."""
    values = np.asarray(values, float)
    return np.where(np.abs(values) <= _LARGEST, values, np.nan)


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Indices, in order, of about `most` of values [n] that look like all of them in a line.

    Of each stretch the lowest and the highest, so that no spike is lost, and the first and the last of all. A stretch
    of nothing but NaN keeps its first, so that the line has its gap.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    stretches = np.array_split(np.arange(count), max(1, most // 2))
    kept = [index for stretch in stretches for index in _outermost(values, stretch)]
    return np.unique([0, *kept, count - 1])


def _outermost(values: np.ndarray, stretch: np.ndarray) -> list[int]:
    known = stretch[~np.isnan(values[stretch])]
    if not known.size:
        return [int(stretch[0])]
    return [int(known[np.argmin(values[known])]), int(known[np.argmax(values[known])])]
