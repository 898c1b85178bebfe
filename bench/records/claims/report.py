"""What becomes of the claims, as a report."""

from __future__ import annotations

import pandas as pd

from bench.experiments.run.record import Record
from bench.machine import environment
from bench.records.claims.answer import Answer
from bench.records.claims.claims import answers
from bench.records.claims.evidence import Evidence, Used
from bench.report.report import Report

TITLE = "what was said of the change, and what was measured"


def report(evidence: Evidence) -> Report:
    """What there is to show."""
    return Report.of("claims", [(TITLE, table(answers(evidence)))], footer(evidence))


def table(found: tuple[Answer, ...]) -> pd.DataFrame:
    """A row a claim.

    Returns:
        Texts in the columns claim, as it was said, measured, verdict, why.
    """
    rows = [(each.claim, each.said, each.measured, str(each.verdict), each.why) for each in found]
    return pd.DataFrame(rows, columns=["claim", "as it was said", "measured", "verdict", "why"])


def footer(evidence: Evidence) -> list[str]:
    """From what records, and of what machines."""
    machines = dict.fromkeys(environment.machine(record.environment) for record in evidence.records)
    return [*map(_of, evidence.records), *machines]


def _of(record: Used) -> str:
    """What a record is of, and what its loops were."""
    of = record.settings if isinstance(record, Record) else record.plan
    commit = record.environment.get("commit")
    return f"{record.kind}: preset {of.preset}, {record.created:%Y-%m-%d}" + (
        f", commit {commit[:9]}" if commit else ""
    )
