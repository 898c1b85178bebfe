"""The profile experiment, as a command and in `pytest bench/`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loop_bench.experiments.experiment import (
    Asked,
    Experiment,
    Flag,
    Folder,
    Option,
    RunSwitch,
    Stages,
    Tell,
    WholeNumber,
)
from loop_bench.experiments.profile.record import ProfileRecord
from loop_bench.settings import Settings

BATCHES = 50
"""Default batches of a stretch: a whole window of loops that train several batches in one call."""


def traces(folder: Path) -> str:
    """The command that shows the traces in a folder."""
    return f"traces: tensorboard --logdir {shlex.quote(str(folder))}   (its page Profile needs: pip install xprof)"


class ProfileExperiment(Experiment):
    """Trace some batches of each loop, and show where the time goes.

    Each loop is built and warmed up first. Then a stretch is traced, between two untraced ones, to show what tracing
    costs: traced times are longer than real ones. The tables show how much of the time ops were running, the gaps
    between them, and which ops take most of it. The traces are TensorFlow's own: `tensorboard --logdir OUT` shows
    them.

    Examples: loop-bench profile --preset paper

    loop-bench profile --before my.old:make --after my.new:make --batches 100 --out runs/profile
    """

    name = "profile"
    options = (
        "--before",
        "--after",
        "--preset",
        "--script",
        "--seed",
        Option(
            "--batches",
            "batches of each loop in the trace; best a multiple of those that it trains in one call",
            WholeNumber(1),
            str(BATCHES),
        ),
        Option("--every-op", "also trace cheap ops of plain graphs on a CPU, which slows the loop more", Flag()),
        Option("--out", "folder for the traces and tables", Folder(), default_words="results/runs/profile-PRESET"),
    )
    interrupted = "complete traces are kept"
    switch = RunSwitch(
        Option(
            "--profile",
            "trace a stretch of each loop for TensorBoard and show where its time goes; writes to "
            "RESULTS/profile-PRESET",
            Flag(),
        ),
        without="--profile traces a stretch of each loop and shows where its time goes",
        with_run=True,
    )

    def in_run(self, value: bool) -> dict[str, Any]:
        """See Experiment."""
        return {"batches": BATCHES}

    def seconds(self, asked: Asked) -> float:
        """See Experiment; of the built-in loops at preset paper."""
        return 60.0

    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Stages:
        """See Experiment."""

        def run(folder: Path, tell: Tell) -> ProfileRecord:
            from loop_bench.experiments.profile.trial import profile  # imports TensorFlow, which `--help` need not do

            reported = 0.0

            def progress(title: str, share: float) -> None:
                nonlocal reported
                tell(title, "", max(0.0, share - reported))
                reported = max(reported, share)

            return profile(settings, folder, progress, asked["every_op"])

        return Stages(1.0, run)

    def notes(self, folder: Path) -> Iterable[str]:
        """See Experiment."""
        return [traces(folder)]
