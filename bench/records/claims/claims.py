"""Every claim that came with the change, answered from records."""

from __future__ import annotations

from collections.abc import Callable

from bench.records.claims import annealing, device, reads, speed, survival
from bench.records.claims.answer import Answer
from bench.records.claims.evidence import Evidence

CLAIMS: tuple[Callable[[Evidence], Answer], ...] = (
    speed.batch,
    speed.training,
    device.utilisation,
    device.memory,
    reads.calls,
    reads.waits,
    reads.transfers,
    reads.visibility,
    survival.crashes,
    annealing.temperature,
    annealing.convergence,
)
"""In the order of a table."""


def answers(evidence: Evidence) -> tuple[Answer, ...]:
    """One for each claim."""
    return tuple(claim(evidence) for claim in CLAIMS)
