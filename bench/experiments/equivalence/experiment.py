"""The equivalence check, as a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from loop_bench.experiments.equivalence.record import AgreementRecord
from loop_bench.experiments.experiment import Asked, Experiment, Flag, Folder, Option, Parts, WholeNumber
from loop_bench.settings import Settings

INVALID = 4
"""The exit code for loops that do not compute the same; also the gate's code for an invalid record."""


class EquivalenceExperiment(Experiment):
    """Check whether the loops compute the same thing; the exit code is 0 if they do, otherwise 4.

    Both loops train from the same seed; the built-in loops also use the same temperature and sampler, and a clipping
    norm too large to matter. Changes that only move reads and calls must leave metrics, weights and drawn tokens (if a
    loop keeps them) the same bit for bit. If a bit differs, both loops train each batch from the same state; then only
    rounding may differ, and the first draw that it flips is named.

    Examples: loop-bench equivalence --preset tiny

    loop-bench equivalence --every-rung --out results/runs/equivalence

    loop-bench equivalence --before my.old:make --after my.new:make --preset any
    """

    name = "equivalence"
    options = (
        "--before",
        "--after",
        "--preset",
        "--script",
        "--seed",
        Option(
            "--batches",
            "batches of each loop in independent runs, and as many from the same state",
            WholeNumber(10),
            "60",
        ),
        Option("--every-rung", "also check each change between the loops, and the loop without each", Flag()),
        Option("--out", "folder for a record and a table", Folder(), default_words="neither is written"),
    )
    needs_folder = False
    parts = "loops"
    interrupted = "nothing was written"

    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Parts:
        """See Experiment."""
        settings = settings.model_copy(update={"batches": 1})  # nothing is timed
        candidates = pair.candidates(settings, asked["every_rung"])

        def run(folder: Path, done: Callable[[str], None]) -> AgreementRecord:
            from loop_bench.experiments.equivalence.check import agreement  # imports TensorFlow

            return agreement(settings, candidates, asked["batches"], done)

        return Parts(len(candidates), run)

    def exit_code(self, record: AgreementRecord) -> int:
        """See Experiment."""
        return 0 if all(result.equal for result in record.found.values()) else INVALID
