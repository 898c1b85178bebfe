"""The command that checks whether an environment and its machine can measure; needs no extra and no TensorFlow."""

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
"""Rough seconds that TensorFlow takes to start."""


def doctor(
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure", help=f"Time a tiny loop against itself for {null_arm.SECONDS:.0f} seconds."
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show what is installed, which devices compute, whether the machine is quiet enough to measure, and what to do.

    It checks versions, extras and how to install them, which host syncs can be recorded, the processor, its cores and
    their load, the memory allocator, GPUs, environment variables, and the null arm of a tiny loop: the smallest
    difference that a run on this machine could show.

    The exit code: 0 the machine can measure, with or without notes; 1 a problem prevents it; 130 Ctrl-C.

    Example: loop-bench doctor --no-measure
    """
    forecast = Forecast([lambda: _START, *([lambda: null_arm.SECONDS] if measure else [])])
    progress = ProgressDisplay(Console(stderr=True), forecast)
    forecast.begin()
    progress.stage("checking TensorFlow and the machine")

    def show_progress(share: float) -> None:
        if not share:
            forecast.begin()
        forecast.reach(share)
        progress.stage("timing a tiny loop against itself")

    try:
        examined = examination.examine(measure, show_progress)
    finally:
        progress.pause()
    if as_json:
        print(json.dumps(report.plain(examined), indent=1))
    else:
        report.show(terminal.console(in_a_pipe=160), examined.parts)
    raise typer.Exit(1 if problems(examined.parts) else 0)
