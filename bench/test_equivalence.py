"""Do both loops compute the same thing?"""

from __future__ import annotations

import pytest

from bench.cli.progress import ProgressDisplay
from bench.experiments.run.measurement import Measurement


@pytest.mark.takes(20.0)
def test_equivalence(measurement: Measurement, progress: ProgressDisplay, counted: None) -> None:
    """Records it; what follows if they do not is for the verdict to say."""
    progress.stage("both loops with everything the same but how it is carried out")
    if measurement.check_equivalence() is None:
        pytest.skip("no options are known that make these loops the same algorithm")
