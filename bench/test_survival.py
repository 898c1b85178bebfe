"""How does each loop cope with exploding gradients?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from loop_bench.cli import pytest_options
from loop_bench.cli.progress import ProgressDisplay
from loop_bench.experiments import registry
from loop_bench.experiments.experiment import place
from loop_bench.experiments.run.stages import Stage
from loop_bench.jobs.gather import Run
from loop_bench.report import files

if TYPE_CHECKING:  # it starts TensorFlow, which should wait until there is a progress display
    from loop_bench.experiments.run.measurement import Measurement

SEEDS, EPOCHS = 10, 100
"""Seeds and epochs of the full experiment."""


_STAGE = "loops with faults, each in a process of its own"


@pytest.mark.stage(Stage.SURVIVAL)
def test_survival(
    measurement: Measurement,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    processes: Run,
    tmp_path: Path,
    came_to_nothing: Callable[[str], NoReturn],
    counted: None,
) -> None:
    """Records what faults do to the loops; a loop that dies of one is a result, a loop that was not tested is none."""
    asked = pytest_options.asked(pytestconfig)
    whole = asked["survival"] == "full"
    settings = measurement.settings
    pair = pytest_options.pair(pytestconfig)
    seeds, epochs = (SEEDS, EPOCHS) if whole else (None, 0)
    plan = pair.survival(settings, seeds, epochs, measurement.homes)
    folder = pytest_options.results(pytestconfig) / f"survival-{settings.preset}" if whole else tmp_path
    tell, shown = progress.weighted(len(plan.trials())), pair.shown(plan)
    progress.stage(_STAGE)
    with place(asked) if whole and asked["on"] else contextlib.nullcontext(processes) as run:
        record = measurement.survive(plan, folder, shown, lambda title: tell(_STAGE, f": {title}", 1.0), run)
    if whole:
        files.leave(record, registry.report, folder)
    flaw = registry.experiment("survival").flaw(record)
    if pair.faults.must_happen:  # other loops may lack the tape that all faults but one need
        untested = [run.reason for arm in record.survivals.values() for run in arm if run.outcome == "not tested"]
        flaw = flaw or next(iter(untested), "")
    if flaw:
        came_to_nothing(f"survival: {flaw}; --survival none leaves it out")
