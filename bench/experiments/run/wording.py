"""Numbers in words, the same in every table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.experiments.survival.figures import Rate
from bench.experiments.survival.record import Survival
from bench.statistics import FEWEST_PAIRS, Interval, Spread

NOT_MEASURED = "not measured"


def speed_up(ratio: Interval) -> str:
    """A ratio of times before/after; none where its interval holds 1."""
    if math.isinf(ratio.high):
        return f"{ratio.estimate:.2f}× (an interval needs {FEWEST_PAIRS} rounds)"
    if ratio.holds(1.0):
        return f"no measurable difference (95% interval of the ratio {ratio.low:.3f} to {ratio.high:.3f})"
    if ratio.estimate > 1:
        return f"{ratio.estimate:.2f}× faster (95%: {ratio.low:.2f} to {ratio.high:.2f})"
    slower = ratio.reciprocal
    return f"{slower.estimate:.2f}× slower (95%: {slower.low:.2f} to {slower.high:.2f})"


def change(ratio: Interval) -> str:
    """A ratio after/before as what it adds: `+3.1% (95%: +1.0% to +5.3%)`."""
    return f"{ratio.estimate - 1:+.1%} (95%: {ratio.low - 1:+.1%} to {ratio.high - 1:+.1%})"


def interval(ratio: Interval) -> str:
    """A ratio and its interval: `2.25 (2.20 to 2.30)`."""
    return f"{ratio.estimate:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def spread(found: Spread | None) -> str:
    """A median and its quartiles."""
    return NOT_MEASURED if found is None else f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"


def few(value: float | None) -> str:
    """A number with two decimals at most."""
    return NOT_MEASURED if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def outcome(survivals: Sequence[Survival]) -> str:
    """How runs with one fault came out: a single one with its reason, several as `rate` says it."""
    if not survivals:
        return NOT_MEASURED
    if len(survivals) == 1:
        return f"{survivals[0].outcome}: {survivals[0].reason}"
    return rate(Rate.of(survivals))


def outcomes(survivals: Sequence[Survival]) -> str:
    """The same in a word: `frozen`, or `9 skipped, 1 crashed`."""
    counts = Rate.of(survivals)
    told = [*counts.outcomes.items(), *([("not tested", counts.untested)] if counts.untested else [])]
    return told[0][0] if len(survivals) == 1 else ", ".join(f"{count} {each}" for each, count in told)


def rate(found: Rate) -> str:
    """`10 of 10 alive (72% to 100%): 10 skipped; back after 0 batches`; the interval is Wilson's, 95%."""
    untested = f"{found.untested} not tested" if found.untested else ""
    if found.share is None:
        return untested or NOT_MEASURED
    counts = [f"{count} {each}" for each, count in found.outcomes.items()]
    share = f"{found.share.low:.0%} to {found.share.high:.0%}"
    told = f"{found.alive} of {found.runs} alive ({share}): {', '.join([*counts, *filter(None, [untested])])}"
    return f"{told}; {back(found.recoveries)}" if found.alive else told


def back(recoveries: Sequence[int | None]) -> str:
    """`back after 0 to 12 batches, 3 not back`, of runs that are alive."""
    known = [each for each in recoveries if each is not None]
    never = f"{len(recoveries) - len(known)} not back" if len(known) < len(recoveries) else ""
    if not known:
        return never
    range_ = str(min(known)) if min(known) == max(known) else f"{min(known)} to {max(known)}"
    return ", ".join(filter(None, [f"back after {range_} batches", never]))
