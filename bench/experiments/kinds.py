"""Records of every kind: reading one without knowing what it is, and finding the module that reports it."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path

from bench.document import Document
from bench.errors import InvalidRecordError, UsageError
from bench.report.report import Report

_KINDS = {
    "run": ("bench.experiments.run.record:Record", "bench.experiments.run.report:report"),
    "ladder": ("bench.experiments.ladder.record:LadderRecord", "bench.experiments.ladder.report:report"),
    "sweep": ("bench.experiments.sweep.record:SweepRecord", "bench.experiments.sweep.report:report"),
    "profile": ("bench.experiments.profile.record:ProfileRecord", "bench.experiments.profile.report:report"),
    "equivalence": (
        "bench.experiments.equivalence.record:AgreementRecord",
        "bench.experiments.equivalence.report:report",
    ),
    "convergence": (
        "bench.experiments.convergence.record:ConvergenceRecord",
        "bench.experiments.convergence.report:report",
    ),
    "survival": ("bench.experiments.survival.record:SurvivalRecord", "bench.experiments.survival.report:report"),
}
"""By what a file says that it is: its class, and what makes a report of it. By name, so that reading one kind does not
import what makes the others."""

KINDS = tuple(_KINDS)


def read(path: Path) -> Document:
    """The record in a file, of whatever kind it says that it is.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        InvalidRecordError: there is no whole record in it, or one of an earlier schema.
    """
    try:
        kind = json.loads(path.read_bytes())["kind"]
    except OSError as error:
        raise UsageError(f"record {path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError):
        raise InvalidRecordError(f"record {path}: no whole record (no JSON object)") from None
    except KeyError:
        raise InvalidRecordError(f"record {path}: does not say of what kind it is; run again for a new one") from None
    if kind not in KINDS:
        raise InvalidRecordError(f"record {path}: is of kind {kind!r}; there are {', '.join(KINDS)}")
    found: Document = pkgutil.resolve_name(_KINDS[kind][0]).read(path)
    return found


def report(record: Document) -> Report:
    """What there is to show of a record."""
    found: Report = pkgutil.resolve_name(_KINDS[record.kind][1])(record)
    return found
