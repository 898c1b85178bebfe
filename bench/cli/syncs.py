"""The command that runs a program and shows its host syncs; needs TensorFlow and no other extra."""

from __future__ import annotations

import contextlib
import json
from typing import Annotated

import typer

from loop_bench.errors import UsageError
from loop_bench.hostsync.command.program import Program, output_to_stderr
from loop_bench.machine import driver
from loop_bench.report import terminal


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
        bool,
        typer.Option("--stack", help="Also show the code in Keras and other libraries that performs the read."),
    ] = False,
    with_advice: Annotated[
        bool, typer.Option("--advice/--no-advice", help="Advise how to avoid the syncs of the costliest lines.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the host syncs and retraces as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown, for docs.")] = False,
    trace: Annotated[
        bool | None,
        typer.Option(
            "--trace/--no-trace",
            help="Also count the copies from the device with TensorFlow's profiler. "
            "Default: only with a GPU. A program that uses the profiler itself needs --no-trace.",
        ),
    ] = None,
) -> None:
    """Run a program unchanged, and show every line that reads a tensor to the host, and every retraced function.

    The exit code is the program's. With --json or --markdown, the program's standard output goes to standard error.
    Host syncs in processes that the program starts are not recorded. TensorFlow is imported before the program runs,
    so set variables that it reads on import (TF_CPP_MIN_LOG_LEVEL, TF_USE_LEGACY_KERAS) in the environment.

    Examples: loop-bench syncs train.py --epochs 1

    loop-bench syncs --disallow -m my_package.train

    loop-bench syncs pytest tests/test_training.py
    """
    if as_json and as_markdown:
        raise UsageError("--json and --markdown: give only one of them")
    checked = Program(program or [], module)
    # Imports TensorFlow, which wrong arguments and `--help` need not wait for.
    from loop_bench.hostsync.command import findings, table

    with output_to_stderr() if as_json or as_markdown else contextlib.nullcontext():
        result = findings.Syncs.of(checked, disallow, stack, driver.has_gpu() if trace is None else trace)
    if as_json:
        print(json.dumps(result.plain(with_advice), indent=1))
    elif as_markdown:
        print(table.markdown(result, with_advice), end="")
    else:
        table.show(terminal.console(in_a_pipe=160), result, with_advice)
    raise typer.Exit(result.exit_code)
