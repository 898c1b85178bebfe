"""The commands on records of runs: compare two, list a history, gate one, accept one as the reference."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from loop_bench.cli import closing, options, typer_options
from loop_bench.errors import InvalidRecordError
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.verdict import Verdict, invalid
from loop_bench.records import gate as gates
from loop_bench.records import history as histories
from loop_bench.records import references
from loop_bench.records import report as records
from loop_bench.records.change import Change
from loop_bench.records.gate import Decision, Limits
from loop_bench.report import terminal
from loop_bench.report.texts import Texts

MAX_SLOWDOWN = options.MAX_SLOWDOWN_OPTION.but(default=f"{gates.MAX_SLOWDOWN:.0%}")

RecordFile = Annotated[Path, typer.Argument(metavar="RECORD", help="A record: the .json of a run.")]


def compare(
    first: Annotated[Path, typer.Argument(metavar="A.json", help="A record.")],
    second: Annotated[Path, typer.Argument(metavar="B.json", help="Another one, usually the later.")],
) -> None:
    """Show what changed from record A to record B.

    If machine, software and settings are alike, ms/batch and all other measurements are compared. Otherwise only
    those that do not depend on the machine are, and what differs is named.

    Example: loop-bench compare results/runs/monday.json results/runs/tuesday.json
    """
    change = Change.of(Record.read(first), Record.read(second))
    terminal.show(
        terminal.console(in_a_pipe=160),
        Texts.of(records.comparison(change)),
        records.comparison_footer(change),
        f"{first.name} → {second.name}",
    )


def history(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of records; its subfolders are read as well.")
    ] = Path("results"),
) -> None:
    """Show ms/batch and the ratio over all records in a folder, and where they changed for good.

    Records of the same machine, loops and settings make one table, oldest first. "changed here" marks the first
    record of a new level (PELT, over at least eight records).

    Example: loop-bench history results/
    """
    series, unreadable = histories.read(folder)
    for comparable in series:
        first = comparable.entries[0].record
        title = (
            f"{first.settings.before} → {first.settings.after}, preset {first.settings.preset}, "
            f"{references.machine_name(first)}"
        )
        terminal.show(terminal.console(in_a_pipe=160), Texts.of(records.history(comparable, folder)), [], title)
    for problem in unreadable:
        terminal.complain(f"left out: {problem}")


def gate(
    record: RecordFile,
    reference: Annotated[Path | None, typer_options.typed(options.REFERENCE)] = None,
    max_slowdown: Annotated[str, typer_options.typed(MAX_SLOWDOWN)] = MAX_SLOWDOWN.default,
    max_syncs: Annotated[float | None, typer_options.typed(options.MAX_SYNCS)] = None,
    min_speedup: Annotated[float | None, typer_options.typed(options.MIN_SPEEDUP)] = None,
    max_retraces: Annotated[int | None, typer_options.typed(options.MAX_RETRACES)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Decide whether a record passes; the exit code gives the decision, and one line the reason.

    0 passed, 1 slower or over a limit, 2 wrong use, 3 inconclusive: the run cannot tell, 4 invalid: the record is
    broken, or is not comparable with the reference. It passes when a 99.9% interval shows that the slowdown is less
    than --max-slowdown, and fails when there is a slowdown and it cannot be shown to be less.

    In GitHub Actions the line is also an annotation, and the table is added to the job's summary.

    Example: loop-bench gate results/runs/RECORD.json --reference results/ --max-slowdown 5% --max-syncs 0.1
    """
    limits = Limits(MAX_SLOWDOWN.read(max_slowdown), max_syncs, min_speedup, max_retraces)
    try:
        judged = Record.read(record)
        reference_record = None if reference is None else references.find(judged, reference)
        decision = gates.judge(judged, limits, reference_record)
    except InvalidRecordError as error:
        decision = Decision.invalid(str(error))
    print(json.dumps(records.plain(decision), indent=1) if as_json else decision.line)
    closing.publish(decision, sys.stderr)
    raise typer.Exit(decision.outcome)


def accept(
    record: RecordFile,
    results: Annotated[Path, typer.Option(help="Folder of references, with a subfolder for each machine.")] = Path(
        "results"
    ),
) -> None:
    """Make a record the reference for its machine, loops and settings, replacing an earlier one.

    Commit the file that the command prints; `gate --reference results/` finds it.

    Example: loop-bench accept results/runs/RECORD.json
    """
    accepted = Record.read(record)
    if problems := invalid(accepted):
        raise InvalidRecordError(f"record {record}: cannot be a reference: {'; '.join(problems)}")
    replaces = references.path(accepted, results).exists()
    written = references.accept(accepted, results)
    print(f"{'replaced' if replaces else 'new'} reference: {written}")
    if accepted.environment.get("dirty") is not False:
        print("it cannot be reproduced from a commit: the code had uncommitted changes, or was in no repository")
    verdict = Verdict.of(accepted)
    print(f"verdict of the reference: {verdict.kind}: {verdict.reason}")
