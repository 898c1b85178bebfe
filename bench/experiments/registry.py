"""The experiments there are, a line each; and records of every kind: reading one, and its report."""

from __future__ import annotations

import dataclasses
import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from loop_bench.errors import InvalidRecordError, UsageError

if TYPE_CHECKING:  # `loop-bench --help`, which reads the table below, should not wait for what they import
    from loop_bench.document import Document
    from loop_bench.experiments.experiment import Experiment
    from loop_bench.report.report import Report


@dataclasses.dataclass(frozen=True)
class Registered:
    """An experiment, by its folder; by name, so that reading one kind of record does not import the others."""

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
        "Find out whether the loops compute the same thing; the exit code is 0 if so, else 4.",
    ),
    "ladder": Registered(
        "LadderRecord",
        "LadderExperiment",
        "ladder",
        "Find out which change between the loops brings what: baseline, then one change at a time, then each left out.",
    ),
    "sweep": Registered(
        "SweepRecord",
        "SweepExperiment",
        "sweep",
        "Measure what a batch costs both loops as the work grows: ms/batch and tokens a second.",
    ),
    "profile": Registered(
        "ProfileRecord",
        "ProfileExperiment",
        "profile",
        "Trace a stretch of each loop, and show where its time goes.",
    ),
    "survival": Registered(
        "SurvivalRecord",
        "SurvivalExperiment",
        "survive",
        "Put both loops through gradients that explode, and through worse, and tabulate which lives.",
    ),
    "convergence": Registered(
        "ConvergenceRecord",
        "ConvergenceExperiment",
        "converge",
        "Train both loops from several seeds, and see which learns better: quality over the batches, with a verdict.",
    ),
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
