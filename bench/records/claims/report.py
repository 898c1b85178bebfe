"""Every claim that came with the change, answered from records, as a report."""

from __future__ import annotations

import collections
from collections.abc import Callable

import pandas as pd

from loop_bench.experiments.run.record import Record
from loop_bench.machine import environment
from loop_bench.records.claims import learning, performance, reads
from loop_bench.records.claims.evidence import Answer, ClaimRecord, ClaimVerdict, Evidence
from loop_bench.report.report import Fact, Headline, Report, Table

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
    answered = answers(evidence)
    headlines = [Headline("claims", f"of {len(answered)}, {_counts(answered)}")]
    return Report.of("claims", [Table(TITLE, table(answered))], facts(evidence), headlines=headlines)


def _counts(answered: tuple[Answer, ...]) -> str:
    """How many claims have each verdict: `1 holds, 4 do not hold`."""
    counts = collections.Counter(each.verdict for each in answered)
    several = {ClaimVerdict.HOLDS: "hold", ClaimVerdict.DOES_NOT_HOLD: "do not hold"}
    return ", ".join(
        f"{count} {verdict if count == 1 else several.get(verdict, verdict)}"
        for verdict in ClaimVerdict
        if (count := counts[verdict])
    )


def table(answered: tuple[Answer, ...]) -> pd.DataFrame:
    """Answers as a table, a row a claim.

    Returns:
        Texts in the columns claim, as it was said, measured, verdict, why.
    """
    rows = [(each.claim, each.said, each.measured, str(each.verdict), each.why) for each in answered]
    return pd.DataFrame(rows, columns=["claim", "as it was said", "measured", "verdict", "why"])


def facts(evidence: Evidence) -> list[Fact]:
    """The records that the answers come from, and the machines that these were made on."""
    machines = dict.fromkeys(environment.machine(record.environment) for record in evidence.records)
    return [*map(_described, evidence.records), *(Fact("machine", machine) for machine in machines)]


def _described(record: ClaimRecord) -> Fact:
    """A record's kind, preset, day and commit."""
    of = record.settings if isinstance(record, Record) else record.plan
    commit = record.environment.get("commit")
    made = f"preset {of.preset}, {record.created:%Y-%m-%d}" + (f", commit {commit[:9]}" if commit else "")
    return Fact(record.kind, made)
