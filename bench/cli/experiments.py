"""Builds the command of each registered experiment."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from loop_bench import builtin
from loop_bench.cli import options, typer_options
from loop_bench.cli.progress import ProgressDisplay, TrialsDisplay
from loop_bench.document import Document
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.experiment import Asked, Experiment, Parts, Stages
from loop_bench.failure import LoopError
from loop_bench.machine import gpu
from loop_bench.multiworker.task import task
from loop_bench.report import files, terminal


def command(experiment: Experiment) -> Callable[..., None]:
    """The command of an experiment, for Typer."""
    declared = options.of_command(experiment)

    def run(**given: Any) -> None:
        try:
            run_experiment({option.key: option.read(given[option.key]) for option in declared})
        except (LoopError, UsageError):
            if given[options.FULL_TRACE.key]:
                traceback.print_exc()
            raise

    def run_experiment(asked: Asked) -> None:
        if task():
            raise UsageError(f"TF_CONFIG names several machines; {experiment.name} runs on one: unset TF_CONFIG")
        pair, loop_options = builtin.find(asked["before"], asked["after"]), options.loop_options(asked)
        experiment.check(pair, asked, loop_options)
        if asked["preset"] is None:
            builtin.start_tensorflow()
        preset = asked["preset"] or builtin.default_preset()
        work = experiment.prepare(pair, options.settings_of(asked, preset), asked)
        if experiment.shares_gpu:
            gpu.share()
        builtin.start_tensorflow()
        folder = asked["out"]
        if folder is None and experiment.needs_folder:
            folder = Path(options.DEFAULT_RESULTS) / f"{experiment.name}-{preset}"
        record = _run(experiment, work, folder or Path())
        if folder is None:
            output = files.Output(registry.report(record))
        else:
            output = files.leave(record, registry.report, folder, experiment.notes(folder))
        output.show(terminal.console(in_a_pipe=160))
        if folder is not None:
            experiment.tidy(folder)
        if flaw := experiment.flaw(record):
            terminal.complain(f"error: {flaw}")
        if code := experiment.exit_code(record):
            raise typer.Exit(code)

    run.__signature__ = typer_options.signature(declared)  # type: ignore[attr-defined]
    run.__doc__ = experiment.__doc__
    return run


def _run(experiment: Experiment, work: Parts | Stages, folder: Path) -> Document:
    """Runs the work with a progress display; when interrupted, says how to resume."""
    console = Console(stderr=True)
    if isinstance(work, Parts):
        with TrialsDisplay(console, work.total, experiment.parts, experiment.redraws) as trials:
            try:
                return work.run(folder, trials.done)
            except KeyboardInterrupt:
                raise _interrupted(experiment.interrupted.format(left=trials.left, total=trials.total)) from None
    stages = ProgressDisplay(console)
    try:
        return work.run(folder, stages.weighted(work.total))
    except KeyboardInterrupt:
        stages.pause()
        raise _interrupted(experiment.interrupted) from None
    finally:
        stages.pause()


def _interrupted(hint: str) -> typer.Exit:
    terminal.complain(f"interrupted; {hint}")
    return typer.Exit(130)
