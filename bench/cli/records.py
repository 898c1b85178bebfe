"""The commands on records of runs: what changed from one to another, whether one may pass, which is the reference."""

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

    On machines and software that are alike: ms/batch and all the rest. Otherwise what does not depend on them,
    and what it is that differs.

    Example: loop-bench compare results/runs/monday.json results/runs/tuesday.json
    """
    found = Change.of(Record.read(first), Record.read(second))
    terminal.show(
        terminal.console(in_a_pipe=160),
        Texts.of(records.comparison(found)),
        records.comparison_footer(found),
        f"{first.name} → {second.name}",
    )


def history(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With records, in it or below.")] = Path("results"),
) -> None:
    """Show ms/batch and the ratio over all records in a folder, and where they changed for good.

    Records of the same machine, loops and settings make one table, oldest first. "changed here" marks the first
    record of a new level (PELT, over at least eight records).

    Example: loop-bench history results/
    """
    found, unreadable = histories.read(folder)
    for each in found:
        first = each.entries[0].record
        title = (
            f"{first.settings.before} → {first.settings.after}, preset {first.settings.preset}, "
            f"{references.machine_name(first)}"
        )
        terminal.show(terminal.console(in_a_pipe=160), Texts.of(records.history(each, folder)), [], title)
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
    """Decide whether a record may pass; the exit code says it, and one line why.

    0 passed, 1 slower or over a limit, 2 wrong use, 3 inconclusive: the run cannot tell, 4 invalid: the record is
    broken, or is not comparable with the reference. It passes when a 99.9% interval shows that the slowdown is less
    than --max-slowdown, and fails when there is a slowdown and it cannot be shown to be less.

    Inside GitHub Actions the line is an annotation, and the table stands in the job's summary.

    Example: loop-bench gate results/runs/RECORD.json --reference results/ --max-slowdown 5% --max-syncs 0.1
    """
    limits = Limits(MAX_SLOWDOWN.read(max_slowdown), max_syncs, min_speedup, max_retraces)
    try:
        judged = Record.read(record)
        held_against = None if reference is None else references.find(judged, reference)
        decision = gates.judge(judged, limits, held_against)
    except InvalidRecordError as error:
        decision = Decision.invalid(str(error))
    print(json.dumps(records.plain(decision), indent=1) if as_json else decision.line)
    closing.publish(decision, sys.stderr)
    raise typer.Exit(decision.outcome)


def accept(
    record: RecordFile,
    results: Annotated[Path, typer.Option(help="Folder of references; each machine has its own in it.")] = Path(
        "results"
    ),
) -> None:
    """Make a record the reference for its machine, loops and settings, in place of the one there was.

    Commit the file that it names; `gate --reference results/` finds it.

    Example: loop-bench accept results/runs/RECORD.json
    """
    accepted = Record.read(record)
    if problems := invalid(accepted):
        raise InvalidRecordError(f"record {record}: is no reference: {'; '.join(problems)}")
    before = references.path(accepted, results).exists()
    written = references.accept(accepted, results)
    print(f"{'replaced' if before else 'new'} reference: {written}")
    if accepted.environment.get("dirty") is not False:
        print("nobody else can make it again: it was measured outside of a commit, or with changes beside it")
    verdict = Verdict.of(accepted)
    print(f"its verdict: {verdict.kind}: {verdict.reason}")
