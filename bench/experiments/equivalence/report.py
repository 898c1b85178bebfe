"""The report of equivalence: which loops compute the same thing."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from loop_bench.experiments.equivalence.figures import (
    LARGEST_JUMP,
    METRIC_TOLERANCE,
    MOST_FLIPPED,
    MUST_AGREE,
    MUST_MOVE_ALIKE,
    UPDATE_TOLERANCE,
    largest,
)
from loop_bench.experiments.equivalence.record import AgreementRecord, Equivalence, Lockstep
from loop_bench.machine import environment
from loop_bench.report.report import Number, Report

TITLE = "does it compute what the loop before computes"


def report(record: AgreementRecord) -> Report:
    """The report of a record."""
    return Report.of("equivalence", [(TITLE, table(record))], footer(record), _numbers(record))


def table(record: AgreementRecord) -> pd.DataFrame:
    """A row for each loop.

    Returns:
        Texts in the columns: loop, same, largest difference of metrics and of updates, lines with a flipped draw, and
        the first flip of loops left to themselves.
    """
    rows = [
        {
            "loop": name,
            "the same": _verdict(found),
            "metrics differ by": _most(found.lockstep, "metrics"),
            "updates differ by": _most(found.lockstep, "updates"),
            "lines with a flipped draw": _flipped(found.lockstep),
            "by itself": _alone(found),
        }
        for name, found in record.found.items()
    ]
    return pd.DataFrame(rows)


def footer(record: AgreementRecord) -> list[str]:
    """What a reader must know to believe the table."""
    settings, some = record.settings, next(iter(record.found.values()))
    options = ", ".join(f"{name}={value}" for name, value in {**settings.options, **some.options}.items())
    return [
        f"{some.batches} batches by itself, and where a bit differs, as many, one or two at a time, from the state of "
        "the loop before; differences are the largest where no draw was flipped, as a share of the metric or update",
        f"the same means bit for bit, or metrics within {METRIC_TOLERANCE:g} in {MUST_AGREE:.0%} of such stretches "
        f"(never beyond {LARGEST_JUMP:g}), updates within {UPDATE_TOLERANCE:g} a batch in {MUST_MOVE_ALIKE:.0%} of "
        f"them (never beyond {LARGEST_JUMP:g}), and another draw in at most {MOST_FLIPPED:.0%} of the lines; what only "
        "moves reads and calls must be so bit for bit",
        f"loop before: {settings.before}; preset {settings.preset}, seed {settings.seed}"
        + (f"; with {options}" if options else ""),
        environment.machine(record.environment),
    ]


def _numbers(record: AgreementRecord) -> Iterator[Number | None]:
    for name, found in record.found.items():
        yield Number.plain("the same", name, "1 or 0", found.equal)
        yield Number.plain("bit for bit", name, "1 or 0", found.bit_for_bit)
        stepped = found.lockstep
        if stepped and any(stepped.drew_alike):
            yield Number.plain("metrics differ by", name, "share", largest(stepped, "metrics"))
            yield Number.plain("updates differ by", name, "share", largest(stepped, "updates"))
        if stepped and stepped.other_lines is not None:
            yield Number.plain("lines with a flipped draw", name, "lines", sum(stepped.other_lines))
            yield Number.plain("lines compared", name, "lines", stepped.lines * stepped.batches)


def _verdict(found: Equivalence) -> str:
    if found.bit_for_bit:
        return "bit for bit"
    return "up to rounding" if found.equal else f"no: {found.reason}"


def _most(stepped: Lockstep | None, what: str) -> str:
    if stepped is None or not any(stepped.drew_alike):
        return ""
    return f"{largest(stepped, what):.1g}"


def _flipped(stepped: Lockstep | None) -> str:
    if stepped is None or stepped.other_lines is None:
        return ""
    return f"{sum(stepped.other_lines)} of {stepped.lines * stepped.batches}"


def _alone(found: Equivalence) -> str:
    if found.flip is None:
        return "" if found.lockstep is None or found.lockstep.other_lines is None else "the same tokens throughout"
    flip = found.flip
    return f"other tokens from batch {flip.batch} on (line {flip.line}, token {flip.place})"
