"""The experiments there are, a line each; and records of every kind: reading one, and its report."""

from __future__ import annotations

import dataclasses
import json
import pkgutil
from pathlib import Path

from loop_bench.document import Document
from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments.experiment import Experiment
from loop_bench.report.report import Report


@dataclasses.dataclass(frozen=True)
class Registered:
    """An experiment, by its folder; by name, so that reading one kind of record does not import the others."""

    record: str  # the class in `record.py`; `report.py` has a function `report`
    experiment: str | None = None  # the class in `experiment.py`; None: the run itself


REGISTRY = {
    "run": Registered("Record"),
    "equivalence": Registered("AgreementRecord", "EquivalenceExperiment"),
    "ladder": Registered("LadderRecord", "LadderExperiment"),
    "sweep": Registered("SweepRecord", "SweepExperiment"),
    "profile": Registered("ProfileRecord", "ProfileExperiment"),
    "survival": Registered("SurvivalRecord", "SurvivalExperiment"),
    "convergence": Registered("ConvergenceRecord", "ConvergenceExperiment"),
}
"""The experiments there are, by the kind of their records, which is also the name of the folder."""

KINDS = tuple(REGISTRY)


def experiments() -> list[Experiment]:
    """The experiments with a command, in the order in which `--help` names them."""
    return [experiment(name) for name, each in REGISTRY.items() if each.experiment]


def experiment(name: str) -> Experiment:
    """What an experiment says of itself."""
    found: Experiment = pkgutil.resolve_name(f"{__package__}.{name}.experiment:{REGISTRY[name].experiment}")()
    return found


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
    found: Document = pkgutil.resolve_name(f"{__package__}.{kind}.record:{REGISTRY[kind].record}").read(path)
    return found


def report(record: Document) -> Report:
    """The report of a record of any kind."""
    found: Report = pkgutil.resolve_name(f"{__package__}.{record.kind}.report:report")(record)
    return found
