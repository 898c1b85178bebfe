"""Do both loops compute the same thing?"""

from __future__ import annotations

import pytest

from bench.cli import options
from bench.cli.progress import ProgressDisplay
from bench.experiments.run.measurement import Measurement


@pytest.mark.takes(20.0)
def test_equivalence(
    measurement: Measurement, progress: ProgressDisplay, pytestconfig: pytest.Config, counted: None
) -> None:
    """Records it; what follows if they do not is for the verdict to say."""
    progress.stage("both loops with everything the same but how it is carried out")
    same = options.pair(pytestconfig).equivalent
    if same is None:
        pytest.skip("no options are known that make these loops the same algorithm")
    measurement.check_equivalence(same)
