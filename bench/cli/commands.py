"""`loop-bench`: what can be asked of records after the runs that made them."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from loop_bench.cli import closing, documents, options
from loop_bench.cli.experiments import command
from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.verdict import Verdict, invalid
from loop_bench.failure import LoopError, exit_code
from loop_bench.hostsync.command.program import Program, output_to_stderr
from loop_bench.machine import gpu
from loop_bench.records import gate as gates
from loop_bench.records import history as histories
from loop_bench.records import references
from loop_bench.records import report as records
from loop_bench.records.change import Change
from loop_bench.records.gate import Decision, Limits
from loop_bench.report import terminal

app = typer.Typer(
    help="Compares and gates the records that `pytest bench/ --benchmark-only` leaves in results/runs/, finds the host "
    "syncs of any program, and runs experiments with records of their own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

MAX_SLOWDOWN = options.MAX_SLOWDOWN_OPTION.but(default=f"{gates.MAX_SLOWDOWN:.0%}")

RecordFile = Annotated[Path, typer.Argument(metavar="RECORD", help="A record: the .json of a run.")]


@app.command()
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
        records.comparison(found),
        records.comparison_footer(found),
        f"{first.name} → {second.name}",
    )


@app.command()
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
        terminal.show(terminal.console(in_a_pipe=160), records.history(each, folder), [], title)
    for problem in unreadable:
        terminal.complain(f"left out: {problem}")


@app.command()
def gate(
    record: RecordFile,
    reference: Annotated[Path | None, options.typed(options.REFERENCE)] = None,
    max_slowdown: Annotated[str, options.typed(MAX_SLOWDOWN)] = MAX_SLOWDOWN.default,
    max_syncs: Annotated[float | None, options.typed(options.MAX_SYNCS)] = None,
    min_speedup: Annotated[float | None, options.typed(options.MIN_SPEEDUP)] = None,
    max_retraces: Annotated[int | None, options.typed(options.MAX_RETRACES)] = None,
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


@app.command()
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


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def syncs(
    program: Annotated[
        list[str] | None, typer.Argument(metavar="[PROGRAM] [ARGS]", help="A script, or pytest, and its arguments.")
    ] = None,
    module: Annotated[
        str | None, typer.Option("-m", metavar="MODULE", help="Run a module instead, as `python -m` does.")
    ] = None,
    disallow: Annotated[
        bool, typer.Option("--disallow", help="End the program at its first host sync, with a traceback.")
    ] = False,
    stack: Annotated[
        bool, typer.Option("--stack", help="Name the code in Keras and other libraries that reads for a line.")
    ] = False,
    with_advice: Annotated[
        bool, typer.Option("--advice/--no-advice", help="Say what to do about the lines that matter.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown, for docs.")] = False,
    trace: Annotated[
        bool | None,
        typer.Option(
            "--trace/--no-trace",
            help="Have TensorFlow's profiler count the copies from the device as well. "
            "Default: where there is a GPU. A program that uses the profiler itself needs --no-trace.",
        ),
    ] = None,
) -> None:
    """Run a program unchanged, and show every line at which it reads a tensor to the host, and what it traces again.

    The exit code is the program's. With --json or --markdown, what the program prints goes to standard error.
    Processes that it starts are not looked into. TensorFlow is imported before the program starts: variables that it
    reads on import (TF_CPP_MIN_LOG_LEVEL, TF_USE_LEGACY_KERAS) belong into the environment.

    Examples: loop-bench syncs train.py --epochs 1

    loop-bench syncs --disallow -m my_package.train

    loop-bench syncs pytest tests/test_training.py
    """
    if as_json and as_markdown:
        raise UsageError("--json and --markdown: one of them")
    wanted = Program(program or [], module)
    # TensorFlow, which wrong arguments and `--help` should not wait for.
    from loop_bench.hostsync.command import findings, table

    with output_to_stderr() if as_json or as_markdown else contextlib.nullcontext():
        found = findings.Syncs.of(wanted, disallow, stack, bool(gpu.states()) if trace is None else trace)
    if as_json:
        print(json.dumps(found.plain(with_advice), indent=1))
    elif as_markdown:
        print(table.markdown(found, with_advice), end="")
    else:
        table.show(terminal.console(in_a_pipe=160), found, with_advice)
    raise typer.Exit(found.exit_code)


for each in documents.COMMANDS:
    app.command()(each)
for experiment in registry.experiments():
    app.command(experiment.command)(command(experiment))


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit code, which `gate --help` explains; 130 when interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # × and → where the locale has neither
    try:
        app(_with_options_ended(sys.argv[1:] if arguments is None else arguments))
    except (LoopError, UsageError) as error:
        terminal.complain(f"error: {error}")
        return exit_code(error)
    return 0


def _with_options_ended(arguments: list[str]) -> list[str]:
    """What follows `syncs -m MODULE` is the module's, as after `python -m MODULE`, and no option of ours."""
    if arguments[:1] == ["syncs"]:
        options = list(itertools.takewhile(lambda each: each.startswith("-") and each != "-m", arguments[1:]))
        after = len(options) + 3
        if arguments[after - 2 : after - 1] == ["-m"]:
            return [*arguments[:after], "--", *arguments[after:]]
    return arguments
