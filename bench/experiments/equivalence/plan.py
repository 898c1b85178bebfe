"""Which loops are held against the loop before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.experiments.equivalence.record import Equivalence
from bench.settings import ARMS, Settings


class Candidate(NamedTuple):
    """A loop that should compute what the loop before does."""

    name: str  # as tables have it
    factory: str  # as module:factory
    options: Mapping[str, Any]
    equivalent: Mapping[str, Any] | None  # options of both with which they must; None where none are known
    exact: bool = False  # whether it must be so bit for bit on a CPU, for it only moves reads and calls

    def inexact(self, found: Equivalence, environment: Mapping[str, Any]) -> str:
        """Why it does not do that what was found is the same up to rounding, in words; empty if it does."""
        if not self.exact or found.bit_for_bit or environment.get("gpus"):
            return ""
        return f"only moves reads and calls, and is not bit for bit the same: {found.reason}"


def loop_after(settings: Settings, equivalent: Mapping[str, Any] | None) -> Candidate:
    """The loop after of a run.

    Args:
        settings: of the run.
        equivalent: options with which both loops of its pair compute the same; None where none are known.
    """
    return Candidate(ARMS[1], settings.after, settings.options, equivalent)
