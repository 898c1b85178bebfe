"""What do gradients that explode do to each loop?"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import options
from bench.cli.progress import ProgressDisplay
from bench.experiments import registry
from bench.experiments.run.measurement import Measurement
from bench.report import files

SEEDS, EPOCHS = 10, 100
"""Of the whole experiment."""


_STAGE = "loops with faults, each in a process of its own"


@pytest.mark.has_faults
def test_survival(
    measurement: Measurement,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    tmp_path: Path,
    counted: None,
) -> None:
    """Records what became of the loops; a loop that dies is a result and no failure of the test."""
    wanted = options.asked(pytestconfig)["survival"]
    if wanted == "none":
        pytest.skip("--survival none")
    whole = wanted == "full"
    settings = measurement.settings
    pair = options.pair(pytestconfig)
    plan = pair.survival(settings, *((SEEDS, EPOCHS) if whole else ()))
    folder = options.results(pytestconfig) / f"survival-{settings.preset}" if whole else tmp_path
    tell = progress.weighted(options.survival_seconds(pytestconfig) / len(plan.trials()))
    progress.stage(_STAGE)
    found = measurement.survive(plan, folder, pair.shown(plan), lambda title: tell(_STAGE, f": {title}", 1.0))
    if whole:
        files.leave(found, registry.report, folder)
    if pair.faults.must_happen:  # other loops need have no tape
        untested = [run.reason for arm in found.survivals.values() for run in arm if run.outcome == "not tested"]
        assert not untested, untested[0]
