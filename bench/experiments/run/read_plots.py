"""The picture of a run's host syncs: a bar for each line of code that reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from loop_bench.experiments.syncs.record import HostSyncs
from loop_bench.report import plots
from loop_bench.report.rows import NOT_MEASURED
from loop_bench.settings import ARMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SITES = 12
"""Lines of code that are shown of each loop; the record has all of them."""

_BARS: dict[str, dict[str, Any]] = {
    ARMS[0]: {"facecolor": "#f4b896", "edgecolor": "#b3541e", "hatch": "////"},
    ARMS[1]: {"facecolor": "#9dc3e6", "edgecolor": "#1f5fa8"},
}
"""Looks of the arms' bars: they differ in hatching as well as in colour."""

_FAR_APART = 20.0
"""The most reads over the least, from where a linear axis would hide the least."""

_HEADING, _ROW = 0.34, 0.5  # inches; a row is where a line of code is, what it says, and its bar
_LINE, _BAR = 0.15, 0.13
_MONOSPACED = 0.068  # inches, of a letter


class ReadLine(NamedTuple):
    """A line of code as it is drawn; a heading where nothing is counted."""

    arm: str
    title: str
    source: str = ""
    reads: float | None = None  # a batch


def reads(found: Mapping[str, HostSyncs | None]) -> Figure:
    """Reads a batch of each line of code, those of one arm under those of the other.

    Args:
        found: by arm; None of one that was not counted. One of them has a site.
    """
    rows = [row for arm in ARMS for row in _rows(arm, found[arm])]
    tops = np.cumsum([0.0, *(_ROW if row.reads else _HEADING for row in rows)])
    drawn = plots.figure(0.6 + tops[-1])
    axes = drawn.subplots()
    left = _scale(axes, [row.reads for row in rows if row.reads])
    for top, row in zip(tops[:-1], rows, strict=True):
        _draw(axes, row, float(top), left)
    axes.set_ylim(tops[-1], 0)  # inches, downwards
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(False)
    return drawn


def _rows(arm: str, syncs: HostSyncs | None) -> list[ReadLine]:
    """A heading, the lines that read most, and one for the rest of them."""
    if syncs is None:
        return [ReadLine(arm, f"{arm}: {NOT_MEASURED}")]
    if not syncs.sites:
        return [ReadLine(arm, f"{arm}: no reads in {syncs.batches} batches")]
    rows = [ReadLine(arm, f"{arm}: {syncs.reads_per_batch:.3g} reads a batch")]
    for site in syncs.sites[:MOST_SITES]:
        where = f"{_end_of(site.file)}:{site.line} {site.route}"
        rows.append(
            ReadLine(
                arm, where, plots.cut(site.source, int((plots.WIDTH - 0.5) / _MONOSPACED)), site.reads / syncs.batches
            )
        )
    if left := syncs.sites[MOST_SITES:]:
        rows.append(ReadLine(arm, f"{len(left)} more lines", "", sum(site.reads for site in left) / syncs.batches))
    return rows


def _end_of(file: str) -> str:
    """A path, without its first folders where it is long."""
    most = plots.letters(plots.WIDTH) - 25  # for the line's number and the route
    return file if len(file) <= most else f"…{file[1 - most :]}"


def _scale(axes: Axes, counts: Sequence[float]) -> float:
    """Gives the axis its scale and limits, and where bars begin: on a logarithmic one there is no zero."""
    least, most = min(counts), max(counts)
    if most < _FAR_APART * least:
        axes.set_xlim(0, 1.12 * most)
        axes.set_xlabel("reads a batch")
        return 0.0
    left = least / 3
    axes.set_xlim(left, most * (most / left) ** 0.12)
    plots.logarithmic(axes, "x")
    axes.set_xlabel("reads a batch (logarithmic: compare the numbers, not the lengths)")
    return left


def _draw(axes: Axes, row: ReadLine, top: float, left: float) -> None:
    if row.reads is None:
        _write(axes, row.title, top + _HEADING - 0.04, fontsize=10, weight="bold")
        return
    lines = [(row.title, "sans-serif"), *([(row.source, "monospace")] if row.source else [])]
    for place, (text, family) in enumerate(lines, start=3 - len(lines)):
        _write(axes, text, top + place * _LINE, fontsize=plots.SMALL, family=family)
    y = top + 2 * _LINE + 0.03 + _BAR / 2
    axes.barh(y, row.reads - left, left=left, height=_BAR, **_BARS[row.arm])
    axes.annotate(
        f"{row.reads:.3g}", (row.reads, y), xytext=(3, 0), textcoords="offset points", va="center",
        fontsize=plots.SMALL,
    )  # fmt: skip


def _write(axes: Axes, text: str, bottom: float, **font: Any) -> None:
    """A line at the left end."""
    axes.annotate(
        text, (0, bottom), xycoords=axes.get_yaxis_transform(), xytext=(3, 0), textcoords="offset points",
        va="bottom", **plots.VERBATIM, **font,
    ).set_in_layout(False)  # fmt: skip
