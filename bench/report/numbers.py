"""Rows of a report's numbers; what was not measured makes none."""

from __future__ import annotations

import math

from bench.report.report import Number
from bench.statistics import Interval, Spread


def plain(figure: str, loop: str, unit: str, value: float | None) -> list[Number]:
    """A number without an interval."""
    return [] if value is None else [(figure, loop, unit, float(value), None, None, "")]


def spread(figure: str, loop: str, unit: str, found: Spread | None) -> list[Number]:
    """A median with its quartiles."""
    return [] if found is None else [(figure, loop, unit, *found, "quartiles")]


def interval(figure: str, loop: str, unit: str, found: Interval | None) -> list[Number]:
    """An estimate with its 95% interval; without one where there were too few samples for it."""
    if found is None or not math.isfinite(found.high):
        return plain(figure, loop, unit, found and found.estimate)
    return [(figure, loop, unit, *found, "95%")]
