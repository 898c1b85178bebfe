"""What a run of the harness found, as a report."""

from __future__ import annotations

from collections.abc import Iterator

from bench.experiments.run import frames, plots
from bench.experiments.run.figures import ArmFigures, Comparison
from bench.experiments.run.record import Record
from bench.experiments.run.verdict import Verdict
from bench.experiments.survival.record import ALIVE
from bench.experiments.telemetry import report as utilisation
from bench.report.report import Number, Report
from bench.settings import ARMS

TITLE = "before / after"

_NULL = "null arm"  # not `null`, which pandas reads as nothing


def report(record: Record) -> Report:
    """The report of a record."""
    found = Comparison.of(record)
    table, notes = frames.comparison(found), frames.footer(record, found, Verdict.of(record, found))
    return Report.of("run", [(TITLE, table)], notes, _numbers(found), plots.pictures(record))


def _numbers(found: Comparison) -> Iterator[Number | None]:
    for name in ARMS:
        yield from _of_arm(name, getattr(found, name))
    if found.timing:
        yield Number.median("time a batch", _NULL, "ms", found.timing.null_ms_per_batch)
        yield Number.estimate("speed-up", ARMS[1], "ratio", found.timing.speed_up)
        yield Number.estimate("speed-up", _NULL, "ratio", found.timing.null)


def _of_arm(name: str, arm: ArmFigures) -> Iterator[Number | None]:
    yield Number.median("time a batch", name, "ms", arm.ms_per_batch)
    yield Number.median("time to first batch", name, "s", arm.start_seconds)
    yield Number.plain("host syncs", name, "a batch", arm.host_syncs_per_batch)
    yield Number.plain("host syncs", name, "an epoch", arm.host_syncs_per_epoch)
    yield Number.plain("bytes read", name, "a batch", arm.nbytes_per_batch)
    yield from utilisation.figures(name, arm.telemetry)
    for fault, survivals in arm.survivals.items():
        alive = sum(each.outcome in ALIVE for each in survivals)
        yield Number.plain(f"alive after {fault}", name, f"of {len(survivals)} runs", alive)
