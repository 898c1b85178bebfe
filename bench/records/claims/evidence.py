"""The records that claims are tested against, and the answers that they give."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

from typing_extensions import Self

from loop_bench.document import Document
from loop_bench.enums import StrEnum
from loop_bench.errors import UsageError
from loop_bench.experiments.convergence.record import ConvergenceRecord
from loop_bench.experiments.run.figures import Comparison
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.verdict import Verdict, invalid
from loop_bench.experiments.survival.record import SurvivalRecord
from loop_bench.settings import ARMS
from loop_bench.statistics import Interval

ClaimRecord = Record | SurvivalRecord | ConvergenceRecord
"""The kinds of record with which a claim can be tested."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The records to test the claims with, at most one of each kind."""

    run: Record | None = None
    survival: SurvivalRecord | None = None
    convergence: ConvergenceRecord | None = None
    fixed_temperature: str = ""  # name, in the convergence plan, of the loop after without annealing

    @classmethod
    def of(cls, records: Iterable[Document], factories: tuple[str, str], fixed_temperature: str) -> Self:
        """Sorts records by kind.

        Args:
            records: at most one of each kind.
            factories: the loops before and after that the claims are about, each as module:factory.
            fixed_temperature: the name, in a convergence plan, of the loop after without annealing.

        Raises:
            UsageError: two records of one kind, a record of a kind that tests no claim, or one of other loops.
        """
        by_kind: dict[str, Any] = {}
        for record in records:
            if not isinstance(record, ClaimRecord):
                raise UsageError(f"a {record.title} tests no claim: give records of a run, survival or convergence")
            if record.kind in by_kind:
                raise UsageError(f"two records of kind {record.kind!r}: give at most one of each")
            if _factories(record) != factories:
                raise UsageError(
                    f"the {record.title} is of {' and '.join(_factories(record))}: the claims are about "
                    f"{' and '.join(factories)}"
                )
            by_kind[record.kind] = record
        return cls(**by_kind, fixed_temperature=fixed_temperature)

    @property
    def records(self) -> tuple[ClaimRecord, ...]:
        """The records that were given: run, survival, convergence."""
        return tuple(record for record in (self.run, self.survival, self.convergence) if record)

    @property
    def valid_run(self) -> Record | None:
        """The run if it is valid and its times are plausible; otherwise None."""
        return None if self.why_no_run else self.run

    @functools.cached_property
    def comparison(self) -> Comparison | None:
        """The figures of the valid run; None: there is none."""
        return Comparison.of(self.valid_run) if self.valid_run else None

    @functools.cached_property
    def why_no_run(self) -> str:
        """The reason why there is no valid run, in words; empty if there is one."""
        if self.run is None:
            return "no record of a run is given: loop-bench run makes one"
        if problems := invalid(self.run):
            return f"the run is invalid: {'; '.join(problems)}"
        suspicious = Verdict.of(self.run).suspicious
        return f"the run is suspicious: {suspicious}" if suspicious else ""

    @property
    def has_gpu(self) -> bool:
        """Whether the run was on a GPU."""
        return bool(self.run and self.run.environment["gpus"])


def _factories(record: ClaimRecord) -> tuple[str, str]:
    if isinstance(record, Record):
        return record.settings.before, record.settings.after
    before, after = (record.plan.loops[arm].factory for arm in ARMS)
    return before, after


class ClaimVerdict(StrEnum):
    """Result of the test of a claim."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    CANNOT_BE_TOLD = "cannot be told here"


@dataclasses.dataclass(frozen=True)
class Answer:
    """A claim, what was measured, and the verdict with its reason."""

    claim: str  # the claim's name
    said: str  # the claim's text
    measured: str  # with unit and interval; empty: nothing was measured
    verdict: ClaimVerdict
    why: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim that was made of the change; its methods make the possible answers."""

    name: str
    said: str

    def holds(self, measured: str, why: str) -> Answer:
        """The answer for a claim that the measurement confirms."""
        return Answer(self.name, self.said, measured, ClaimVerdict.HOLDS, why)

    def does_not_hold(self, measured: str, why: str) -> Answer:
        """The answer for a claim that the measurement contradicts, in whole or in part."""
        return Answer(self.name, self.said, measured, ClaimVerdict.DOES_NOT_HOLD, why)

    def cannot_be_told(self, why: str, measured: str = "") -> Answer:
        """The answer for a claim that these records can neither confirm nor contradict."""
        return Answer(self.name, self.said, measured, ClaimVerdict.CANNOT_BE_TOLD, why)

    def within(self, claimed: tuple[float, float], interval: Interval, measured: str) -> Answer:
        """The answer for a claimed range: inside or outside as a whole, or undecided if the interval crosses an end."""
        least, most = claimed
        if least <= interval.low and interval.high <= most:
            return self.holds(measured, f"the whole interval lies between {least:g} and {most:g}")
        if interval.low > most:
            return self.does_not_hold(measured, f"it is more than was said: the whole interval lies above {most:g}")
        if interval.high < least:
            return self.does_not_hold(measured, f"it is less than was said: the whole interval lies below {least:g}")
        return self.cannot_be_told(f"the interval reaches over {least if interval.low < least else most:g}", measured)


def times(ratio: Interval) -> str:
    """A ratio of times before/after with its interval: `3.06× (95%: 3.01 to 3.12)`."""
    return f"{ratio.estimate:.2f}× (95%: {ratio.low:.2f} to {ratio.high:.2f})"
