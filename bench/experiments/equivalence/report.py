"""The report of equivalence: which loops compute the same thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from loop_bench.experiments.equivalence.figures import (
    LARGEST_JUMP,
    METRIC_TOLERANCE,
    MOST_FLIPPED,
    MUST_AGREE,
    MUST_MOVE_ALIKE,
    NOT_KNOWN,
    UPDATE_TOLERANCE,
    largest,
)
from loop_bench.experiments.equivalence.record import AgreementRecord, Equivalence, Lockstep
from loop_bench.report import machines
from loop_bench.report.report import Fact, Headline, Number, Report, Table, Tone

TITLE = "does it compute what the loop before computes"


def report(record: AgreementRecord) -> Report:
    """The report of a record."""
    headlines = [_headline(record.found)]
    return Report.of("equivalence", [Table(TITLE, table(record))], facts(record), _numbers(record), headlines=headlines)


def _headline(found: Mapping[str, Equivalence]) -> Headline:
    """How many loops compute the same, and which do not; of a single one how far it differs."""
    others = {name: each for name, each in found.items() if not each.equal}
    if not others:
        word, tone = "equivalent", Tone.GOOD
    elif all(map(_is_unknown, others.values())):
        word, tone = NOT_KNOWN, Tone.UNSURE
    else:
        word, tone = "not equivalent", Tone.BAD
    if len(found) == 1:
        (single,) = found.values()
        return Headline(word, sentence(single), tone)
    same = f"{len(found) - len(others)} of {len(found)} loops compute what the loop before computes"
    return Headline(word, same + (f"; not shown of {', '.join(others)}" if others else ""), tone)


def _is_unknown(found: Equivalence) -> bool:
    return not found.equal and found.reason.startswith(NOT_KNOWN)


def sentence(found: Equivalence) -> str:
    """Whether two loops compute the same, and how far they differ, in one sentence."""
    if _is_unknown(found):
        return f"whether the loops compute the same is {found.reason}"
    if not found.equal:
        return f"the loops do not compute the same: {found.reason}"
    if found.bit_for_bit or found.lockstep is None or not any(found.lockstep.drew_alike):
        return found.reason
    stepped = found.lockstep
    alike, rest = stepped.batches_alike, stepped.batches - stepped.batches_alike
    batches = f"{alike} of {stepped.batches}" if rest else f"{alike}"
    draws = f"; in the other {rest}, rounding changed a draw in {sum(stepped.other_lines or ())} lines" if rest else ""
    metrics, updates = (f"{largest(stepped, what):.1g}" for what in ("metrics", "updates"))
    return (
        f"the same up to rounding in {batches} batches from equal states: metrics differ by at most {metrics} "
        f"and updates by at most {updates} of their size{draws}"
    )


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


def facts(record: AgreementRecord) -> list[Fact]:
    """The conditions, and what counts as the same."""
    settings, some = record.settings, next(iter(record.found.values()))
    options = ", ".join(f"{name}={value}" for name, value in {**settings.options, **some.options}.items())
    return [
        Fact("before", settings.before),
        Fact(
            "settings",
            f"preset {settings.preset}, seed {settings.seed}" + (f"; with {options}" if options else ""),
        ),
        Fact(
            "compared",
            f"{some.batches} batches of loops that train by themselves; where a bit differs, as many from the state of "
            "the loop before, one or two at a time. Differences are the largest of those batches in which no draw "
            "differs, as a share of the metric or update",
        ),
        Fact(
            "the same",
            f"bit for bit, or metrics within {METRIC_TOLERANCE:g} in {MUST_AGREE:.0%} of such stretches "
            f"(never beyond {LARGEST_JUMP:g}), updates within {UPDATE_TOLERANCE:g} a batch in {MUST_MOVE_ALIKE:.0%} of "
            f"them (never beyond {LARGEST_JUMP:g}), and another draw in at most {MOST_FLIPPED:.0%} of the lines. Where "
            "only reads and calls are moved, it must be bit for bit",
        ),
        *machines.facts(record.environment),
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
    if _is_unknown(found):
        return found.reason
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
