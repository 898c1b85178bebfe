"""The records that claims are held against."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, Self

from bench import builtin
from bench.document import Document
from bench.errors import UsageError
from bench.experiments.convergence.record import ConvergenceRecord
from bench.experiments.run.figures import Comparison
from bench.experiments.run.record import Record
from bench.experiments.run.verdict import Verdict, invalid
from bench.experiments.survival.record import SurvivalRecord
from bench.settings import ARMS

Used = Record | SurvivalRecord | ConvergenceRecord
"""The records that say something of a claim."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """At most one record of each kind."""

    run: Record | None = None
    survival: SurvivalRecord | None = None
    convergence: ConvergenceRecord | None = None

    @classmethod
    def of(cls, records: Iterable[Document]) -> Self:
        """The records by their kinds.

        Raises:
            UsageError: two of one kind, one that says nothing of any claim, or one of other loops than those that the
            claims were made of.
        """
        found: dict[str, Any] = {}
        for record in records:
            if not isinstance(record, Used):
                raise UsageError(f"a {record.title} says nothing of the claims: a run, survival and convergence do")
            if record.kind in found:
                raise UsageError(f"two records of kind {record.kind!r}: one of each")
            if _factories(record) != (builtin.BEFORE, builtin.AFTER):
                raise UsageError(
                    f"the {record.title} is of {' and '.join(_factories(record))}: the claims were made of "
                    f"{builtin.BEFORE} and {builtin.AFTER}"
                )
            found[record.kind] = record
        return cls(**found)

    @property
    def records(self) -> tuple[Used, ...]:
        """Those that there are."""
        return tuple(filter(None, (getattr(self, field.name) for field in dataclasses.fields(self))))

    @property
    def valid_run(self) -> Record | None:
        """The run, if its loops did their work, computed the same thing, and took time enough for it."""
        return None if self.why_no_run else self.run

    @functools.cached_property
    def comparison(self) -> Comparison | None:
        """The figures of the run; None without one that is valid."""
        return Comparison.of(self.valid_run) if self.valid_run else None

    @functools.cached_property
    def why_no_run(self) -> str:
        """In words; empty with a valid one."""
        if self.run is None:
            return "no record of a run is given: pytest bench/ --benchmark-only makes one"
        if problems := invalid(self.run):
            return f"the run is invalid: {'; '.join(problems)}"
        suspicious = Verdict.of(self.run).suspicious
        return f"the run is suspicious: {suspicious}" if suspicious else ""

    @property
    def has_gpu(self) -> bool:
        """Whether the run was on one."""
        return bool(self.run and self.run.environment["gpus"])


def _factories(record: Used) -> tuple[str, str]:
    if isinstance(record, Record):
        return record.settings.before, record.settings.after
    before, after = (record.plan.loops[arm].factory for arm in ARMS)
    return before, after
