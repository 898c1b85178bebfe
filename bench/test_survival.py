"""What do gradients that explode do to each loop?"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import arms, options
from bench.measurement import Measurement
from bench.progress import ProgressDisplay
from bench.survive import leave

SEEDS, EPOCHS = 10, 100
"""Of the whole experiment."""


@pytest.mark.takes(40.0)
def test_survival(
    measurement: Measurement,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    tmp_path: Path,
    counted: None,
) -> None:
    """Records what became of the loops; a loop that dies is a result and no failure of the test."""
    wanted = options.survival(pytestconfig)
    if wanted == "none":
        pytest.skip("--survival none")
    whole = wanted == "full"
    settings = measurement.settings
    plan = arms.survival_plan(settings, *((SEEDS, EPOCHS) if whole else ()))
    folder = options.results(pytestconfig) / f"survival-{settings.preset}" if whole else tmp_path
    left = len(plan.trials())

    def tell(title: str) -> None:
        nonlocal left
        left -= 1
        progress.stage("loops with faults, each in a process of its own", f": {title}; {left} left")

    progress.stage("loops with faults, each in a process of its own")
    found = measurement.survive(plan, folder, tell)
    if whole:
        leave(found, folder)
    if {settings.before, settings.after} <= {arms.BEFORE, arms.AFTER}:  # other loops need have no tape
        untested = [each.reason for arm in found.survivals.values() for each in arm if each.outcome == "not tested"]
        assert not untested, untested[0]
