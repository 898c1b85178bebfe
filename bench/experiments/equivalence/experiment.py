"""Equivalence of loops, as a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from loop_bench.experiments.equivalence.record import AgreementRecord
from loop_bench.experiments.experiment import Asked, Experiment, Flag, Folder, Option, Parts, WholeNumber
from loop_bench.settings import Settings

INVALID = 4
"""The exit code of loops that do not compute the same; the gate has it for a record that is invalid."""


class EquivalenceExperiment(Experiment):
    """Check whether the loops compute the same thing; the exit code is 0 if they do, otherwise 4.

    Both train from one seed, the built-in ones with clipping out of reach, one temperature and one sampler. What only
    moves reads and calls must come out the same bit for bit: metrics, weights, and drawn tokens where a loop keeps
    them. Where a bit differs, each batch is trained by both from the same state; then only rounding may differ, and the
    first draw that it flips is named.

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
        Option("--batches", "of each loop by itself, and as many from one state", WholeNumber(10), "60"),
        Option("--every-rung", "every change between the loops, and each left out, as well", Flag()),
        Option("--out", "folder for a record and a table", Folder(), default_words="none is written"),
    )
    needs_folder = False
    parts = "loops"
    interrupted = "nothing is written"

    def prepare(self, pair: Any, settings: Settings, asked: Asked) -> Parts:
        """See Experiment."""
        settings = settings.model_copy(update={"batches": 1})  # nothing is timed
        candidates = pair.candidates(settings, asked["every_rung"])

        def run(folder: Path, done: Callable[[str], None]) -> AgreementRecord:
            from loop_bench.experiments.equivalence.check import (
                agreement,  # TensorFlow, for which `--help` should not wait
            )

            return agreement(settings, candidates, asked["batches"], done)

        return Parts(len(candidates), run)

    def exit_code(self, record: AgreementRecord) -> int:
        """See Experiment."""
        return 0 if all(found.equal for found in record.found.values()) else INVALID
