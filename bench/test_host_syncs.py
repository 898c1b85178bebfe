"""How often does each loop make the host wait for the device?"""

from __future__ import annotations

import pytest

from bench.cli.progress import ProgressDisplay
from bench.experiments.run.measurement import Measurement
from bench.settings import ARMS

BATCHES = 100  # enough for what happens once in ten batches


@pytest.mark.takes(14.0)
@pytest.mark.parametrize("arm", ARMS)
def test_host_syncs(arm: str, measurement: Measurement, progress: ProgressDisplay, counted: None) -> None:
    """Counts; what is too many is for a gate to say."""
    progress.stage(f"counting the host syncs of {arm} in {BATCHES} batches")
    found = measurement.count_host_syncs(arm, BATCHES)
    assert found.batches == BATCHES
