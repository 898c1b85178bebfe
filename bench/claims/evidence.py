"""The records that claims are held against."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Self

from bench.comparison import Comparison
from bench.convergence.record import ConvergenceRecord
from bench.document import Document
from bench.errors import UsageError
from bench.faults.experiment import SurvivalRecord
from bench.record import Record
from bench.verdict import invalid

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
            UsageError: two of one kind, or one that says nothing of any claim.
        """
        found: dict[str, Any] = {}
        for record in records:
            if not isinstance(record, Used):
                raise UsageError(f"a {record.title} says nothing of the claims: a run, survival and convergence do")
            if record.kind in found:
                raise UsageError(f"two records of kind {record.kind!r}: one of each")
            found[record.kind] = record
        return cls(**found)

    @property
    def records(self) -> tuple[Used, ...]:
        """Those that there are."""
        return tuple(filter(None, (getattr(self, field.name) for field in dataclasses.fields(self))))

    @property
    def comparison(self) -> Comparison | None:
        """The figures of the run; None without one that is valid."""
        return Comparison.of(self.run) if self.run and not invalid(self.run) else None

    @property
    def why_no_comparison(self) -> str:
        """In words."""
        if self.run is None:
            return "no record of a run is given: pytest bench/ --benchmark-only makes one"
        return f"the run is invalid: {'; '.join(invalid(self.run))}"

    @property
    def has_gpu(self) -> bool:
        """Whether the run was on one."""
        return bool(self.run and self.run.environment["gpus"])
