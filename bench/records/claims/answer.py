"""What becomes of a claim."""

from __future__ import annotations

import dataclasses
import enum

from bench.statistics import Interval


class Verdict(enum.StrEnum):
    """Of a claim."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    CANNOT_BE_TOLD = "cannot be told here"


@dataclasses.dataclass(frozen=True)
class Answer:
    """A claim, and what was found of it."""

    claim: str  # in a word or two
    said: str  # as it was made
    measured: str  # with unit and interval; empty for nothing
    verdict: Verdict
    why: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """What was said; asked with `answer`, it gives what was found."""

    name: str
    said: str

    def holds(self, measured: str, why: str) -> Answer:
        """It is as it was said."""
        return Answer(self.name, self.said, measured, Verdict.HOLDS, why)

    def does_not_hold(self, measured: str, why: str) -> Answer:
        """It is not, or not in every part."""
        return Answer(self.name, self.said, measured, Verdict.DOES_NOT_HOLD, why)

    def cannot_be_told(self, why: str, measured: str = "") -> Answer:
        """The records do not say."""
        return Answer(self.name, self.said, measured, Verdict.CANNOT_BE_TOLD, why)

    def within(self, wanted: tuple[float, float], found: Interval, measured: str) -> Answer:
        """By whether an interval lies in the range that was said, outside of it, or on both sides of its end."""
        least, most = wanted
        if least <= found.low and found.high <= most:
            return self.holds(measured, f"the whole interval lies between {least:g} and {most:g}")
        if found.low > most:
            return self.does_not_hold(measured, f"it is more than was said: the whole interval lies above {most:g}")
        if found.high < least:
            return self.does_not_hold(measured, f"it is less than was said: the whole interval lies below {least:g}")
        return self.cannot_be_told(f"the interval reaches over {least if found.low < least else most:g}", measured)


def times(ratio: Interval) -> str:
    """A ratio of times before/after with its interval: `3.06× (95%: 3.01 to 3.12)`."""
    return f"{ratio.estimate:.2f}× (95%: {ratio.low:.2f} to {ratio.high:.2f})"
