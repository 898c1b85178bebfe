"""The command that says whether an environment and its machine can measure; it needs no extra and no TensorFlow."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from loop_bench.cli.progress import Forecast, ProgressDisplay
from loop_bench.doctor import examination, null_arm, report
from loop_bench.doctor.finding import problems
from loop_bench.report import terminal

_START = 8.0
"""Seconds that TensorFlow takes to start, about."""


def doctor(
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure", help=f"Time a tiny loop against itself for {null_arm.SECONDS:.0f} seconds."
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Show what is installed, which devices compute, whether the machine is quiet enough to measure, and what to do.

    Versions in the supported range, extras and what brings them, host syncs that can be seen, the processor, its cores
    and what else runs on them, the allocator of memory, GPUs, environment variables, and the null arm of a tiny loop:
    the difference that a run could tell here.

    The exit code: 0 nothing stands in the way of measuring, whatever the notes say; 1 something does (a problem);
    130 Ctrl-C.

    Example: loop-bench doctor --no-measure
    """
    forecast = Forecast([lambda: _START, *([lambda: null_arm.SECONDS] if measure else [])])
    progress = ProgressDisplay(Console(stderr=True), forecast)
    forecast.begin()
    progress.stage("looking at TensorFlow and the machine")

    def tell(share: float) -> None:
        if not share:
            forecast.begin()
        forecast.reach(share)
        progress.stage("timing a tiny loop against itself")

    try:
        found = examination.examine(measure, tell)
    finally:
        progress.pause()
    if as_json:
        print(json.dumps(report.plain(found), indent=1))
    else:
        report.show(terminal.console(in_a_pipe=160), found.parts)
    raise typer.Exit(1 if problems(found.parts) else 0)
