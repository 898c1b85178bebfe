"""Every claim that came with the change, answered from records, as a report."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from loop_bench.experiments.run.record import Record
from loop_bench.machine import environment
from loop_bench.records.claims import learning, performance, reads
from loop_bench.records.claims.evidence import Answer, ClaimRecord, Evidence
from loop_bench.report.report import Report

CLAIMS: tuple[Callable[[Evidence], Answer], ...] = (
    performance.batch_time,
    performance.training_time,
    performance.utilisation,
    performance.memory,
    reads.calls,
    reads.waits,
    reads.transfers,
    reads.visibility,
    learning.crashes,
    learning.temperature,
    learning.convergence,
)
"""The claims in the order of the table."""


def answers(evidence: Evidence) -> tuple[Answer, ...]:
    """The answer to each claim."""
    return tuple(claim(evidence) for claim in CLAIMS)


TITLE = "what was said of the change, and what was measured"


def report(evidence: Evidence) -> Report:
    """The claims, with what was measured and the verdicts, as a table."""
    return Report.of("claims", [(TITLE, table(answers(evidence)))], footer(evidence))


def table(answered: tuple[Answer, ...]) -> pd.DataFrame:
    """Answers as a table, a row a claim.

    Returns:
        Texts in the columns claim, as it was said, measured, verdict, why.
    """
    rows = [(each.claim, each.said, each.measured, str(each.verdict), each.why) for each in answered]
    return pd.DataFrame(rows, columns=["claim", "as it was said", "measured", "verdict", "why"])


def footer(evidence: Evidence) -> list[str]:
    """Which records the answers come from, and the machines that these were made on."""
    machines = dict.fromkeys(environment.machine(record.environment) for record in evidence.records)
    return [*map(_described, evidence.records), *machines]


def _described(record: ClaimRecord) -> str:
    """A record's kind, preset, day and commit."""
    of = record.settings if isinstance(record, Record) else record.plan
    commit = record.environment.get("commit")
    return f"{record.kind}: preset {of.preset}, {record.created:%Y-%m-%d}" + (
        f", commit {commit[:9]}" if commit else ""
    )
