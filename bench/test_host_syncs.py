"""How often does each loop make the host wait for the device?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loop_bench.cli.progress import ProgressDisplay
from loop_bench.experiments.run.stages import Stage
from loop_bench.experiments.syncs.record import BATCHES
from loop_bench.settings import ARMS

if TYPE_CHECKING:  # it starts TensorFlow, which should wait until there is a progress display
    from loop_bench.experiments.run.measurement import Measurement


@pytest.mark.stage(Stage.SYNCS)
@pytest.mark.parametrize("arm", ARMS)
def test_host_syncs(arm: str, measurement: Measurement, progress: ProgressDisplay, counted: None) -> None:
    """Counts the host syncs; a gate decides which number is too high."""
    progress.stage(f"counting the host syncs of {arm} in {BATCHES} batches")
    syncs = measurement.count_host_syncs(arm, BATCHES)
    assert syncs.batches == BATCHES
