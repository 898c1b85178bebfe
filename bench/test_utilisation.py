"""What does each loop make of the machine?"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import options
from bench.cli.progress import ProgressDisplay
from bench.experiments.run.measurement import Measurement
from bench.settings import ARMS

_STAGE = "watching both loops, each in a process of its own"


@pytest.mark.watches_loops
def test_utilisation(
    measurement: Measurement,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    tmp_path: Path,
    counted: None,
) -> None:
    """Records what was seen; a loop that dies is a result, and no failure of the test while the other lives."""
    seconds = options.utilisation(pytestconfig, measurement.settings.preset)
    tell = progress.weighted(options.utilisation_seconds(pytestconfig) / len(ARMS))
    progress.stage(_STAGE)
    found = measurement.watch(seconds, tmp_path, lambda arm: tell(_STAGE, f": {arm} done", 1.0))
    assert any(each.stretch for each in found.values()), found[ARMS[0]].died
