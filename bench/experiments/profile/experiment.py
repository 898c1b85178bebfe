"""Profiling both loops, as a command and in `pytest bench/`."""

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
"""Batches of a stretch: a whole window of loops that train several batches in one call."""


def traces(folder: Path) -> str:
    """How to look at the traces in a folder."""
    return f"traces: tensorboard --logdir {shlex.quote(str(folder))}   (its page Profile needs: pip install xprof)"


class ProfileExperiment(Experiment):
    """Trace some batches of each loop, and show where the time goes.

    Each loop is built and warmed first. Then a stretch is traced, between two that are not: what tracing costs is
    shown, and traced times are not to be taken for real ones. The tables say how much of the time ops were running,
    the gaps between them, and which ops take most. The traces are TensorFlow's own: tensorboard --logdir OUT shows
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
            "of each loop in the trace; best a multiple of what it trains in one call",
            WholeNumber(1),
            str(BATCHES),
        ),
        Option("--every-op", "on a CPU: cheap ops of plain graphs, too. Tracing takes longer", Flag()),
        Option("--out", "folder for the traces and tables", Folder(), default_words="results/runs/profile-PRESET"),
    )
    interrupted = "traces that are whole are kept"
    switch = RunSwitch(
        Option(
            "--profile",
            "trace a stretch of each loop, for TensorBoard, and say where its time goes, into RESULTS/profile-PRESET",
            Flag(),
        ),
        without="--profile traces a stretch of each loop, and says where its time goes",
        with_run=True,
    )

    def in_run(self, value: bool) -> dict[str, Any]:
        """See Experiment."""
        return {"batches": BATCHES}

    def seconds(self, asked: Asked) -> float:
        """At preset paper."""
        return 60.0

    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Stages:
        """See Experiment."""

        def run(folder: Path, tell: Tell) -> ProfileRecord:
            from loop_bench.experiments.profile.trial import profile  # TensorFlow, for which `--help` should not wait

            told = 0.0

            def progress(title: str, share: float) -> None:
                nonlocal told
                tell(title, "", max(0.0, share - told))
                told = max(told, share)

            return profile(settings, folder, progress, asked["every_op"])

        return Stages(1.0, run)

    def notes(self, folder: Path) -> Iterable[str]:
        """See Experiment."""
        return [traces(folder)]
