"""What do gradients that explode do to each loop?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loop_bench.cli import options
from loop_bench.cli.progress import ProgressDisplay
from loop_bench.experiments import registry
from loop_bench.experiments.run.stages import Stage
from loop_bench.jobs.gather import Run
from loop_bench.report import files

if TYPE_CHECKING:  # it starts TensorFlow, which should wait until there is a progress display
    from loop_bench.experiments.run.measurement import Measurement

SEEDS, EPOCHS = 10, 100
"""Of the whole experiment."""


_STAGE = "loops with faults, each in a process of its own"


@pytest.mark.stage(Stage.SURVIVAL)
def test_survival(
    measurement: Measurement,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    processes: Run,
    tmp_path: Path,
    counted: None,
) -> None:
    """Records what became of the loops; a loop that dies is a result and no failure of the test."""
    whole = options.asked(pytestconfig)["survival"] == "full"
    settings = measurement.settings
    pair = options.pair(pytestconfig)
    plan = pair.survival(settings, *((SEEDS, EPOCHS) if whole else ()))
    folder = options.results(pytestconfig) / f"survival-{settings.preset}" if whole else tmp_path
    tell, shown = progress.weighted(len(plan.trials())), pair.shown(plan)
    progress.stage(_STAGE)
    found = measurement.survive(plan, folder, shown, lambda title: tell(_STAGE, f": {title}", 1.0), processes)
    if whole:
        files.leave(found, registry.report, folder)
    if pair.faults.must_happen:  # other loops need have no tape
        untested = [run.reason for arm in found.survivals.values() for run in arm if run.outcome == "not tested"]
        if untested:
            pytest.fail(untested[0], pytrace=False)
