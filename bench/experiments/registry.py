"""The table of experiments; reads records of any kind, and makes their reports."""

from __future__ import annotations

import dataclasses
import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from loop_bench.errors import InvalidRecordError, UsageError

if TYPE_CHECKING:  # `loop-bench --help` reads the table below and should not wait for imports
    from loop_bench.document import Document
    from loop_bench.experiments.experiment import Experiment
    from loop_bench.report.report import Report


@dataclasses.dataclass(frozen=True)
class Registered:
    """An entry of the table: classes by name, so that reading a record of one kind does not import the others."""

    record: str  # the class in `record.py`; `report.py` has a function `report`
    experiment: str | None = None  # the class in `experiment.py`; None: the run itself
    command: str = ""
    help: str = ""  # the first line of the class's docstring


REGISTRY = {
    "run": Registered("Record"),
    "equivalence": Registered(
        "AgreementRecord",
        "EquivalenceExperiment",
        "equivalence",
        "Check whether the loops compute the same thing; the exit code is 0 if they do, otherwise 4.",
    ),
    "ladder": Registered(
        "LadderRecord",
        "LadderExperiment",
        "ladder",
        "Measure what each change between the loops contributes: the baseline, each change added, each left out.",
    ),
    "sweep": Registered(
        "SweepRecord",
        "SweepExperiment",
        "sweep",
        "Measure how ms/batch and tokens a second of both loops change as the work grows.",
    ),
    "profile": Registered(
        "ProfileRecord",
        "ProfileExperiment",
        "profile",
        "Trace some batches of each loop, and show where the time goes.",
    ),
    "survival": Registered(
        "SurvivalRecord",
        "SurvivalExperiment",
        "survive",
        "Inject faults such as NaN and exploding gradients into both loops, and tabulate which loop survives.",
    ),
    "convergence": Registered(
        "ConvergenceRecord",
        "ConvergenceExperiment",
        "converge",
        "Train both loops from several seeds, and compare their quality over the batches, with a verdict.",
    ),
}
"""All experiments, by the kind of their records, which is also the name of the folder."""

KINDS = tuple(REGISTRY)
"""The kinds of record."""


def experiments() -> list[Experiment]:
    """The experiments with a command, in the order in which `--help` names them."""
    return [experiment(name) for name, entry in REGISTRY.items() if entry.experiment]


def experiment(name: str) -> Experiment:
    """The experiment of this name."""
    instance: Experiment = pkgutil.resolve_name(f"{__package__}.{name}.experiment:{REGISTRY[name].experiment}")()
    return instance


def read(path: Path) -> Document:
    """Reads a record of any kind from a file.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        InvalidRecordError: the file has no whole record, or one of an earlier schema.
    """
    try:
        kind = json.loads(path.read_bytes())["kind"]
    except OSError as error:
        raise UsageError(f"record {path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError):
        raise InvalidRecordError(f"record {path}: no whole record (no JSON object)") from None
    except KeyError:
        raise InvalidRecordError(f"record {path}: lacks the field kind; run again for a new record") from None
    if kind not in KINDS:
        raise InvalidRecordError(f"record {path}: unknown kind {kind!r}; known kinds: {', '.join(KINDS)}")
    record: Document = pkgutil.resolve_name(f"{__package__}.{kind}.record:{REGISTRY[kind].record}").read(path)
    return record


def report(record: Document) -> Report:
    """The report of a record of any kind."""
    made: Report = pkgutil.resolve_name(f"{__package__}.{record.kind}.report:report")(record)
    return made
