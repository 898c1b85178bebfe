"""Records of every kind: reading one without knowing which it is, and its report."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path

from bench.document import Document
from bench.errors import InvalidRecordError, UsageError
from bench.report.report import Report

_RECORDS = {
    "run": "Record",
    "ladder": "LadderRecord",
    "sweep": "SweepRecord",
    "profile": "ProfileRecord",
    "equivalence": "AgreementRecord",
    "convergence": "ConvergenceRecord",
    "survival": "SurvivalRecord",
}
"""By kind, which is also the name of the experiment's folder: the class in its `record.py`. Its `report.py` has a
function `report`. By name, so that reading one kind does not import the others."""

KINDS = tuple(_RECORDS)


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
    found: Document = pkgutil.resolve_name(f"{__package__}.{kind}.record:{_RECORDS[kind]}").read(path)
    return found


def report(record: Document) -> Report:
    """The report of a record of any kind."""
    found: Report = pkgutil.resolve_name(f"{__package__}.{record.kind}.report:report")(record)
    return found
