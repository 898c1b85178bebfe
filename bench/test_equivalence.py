"""Do both loops compute the same thing?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loop_bench.cli import pytest_options
from loop_bench.cli.progress import ProgressDisplay
from loop_bench.experiments.run.stages import Stage

if TYPE_CHECKING:  # it starts TensorFlow, which should wait until there is a progress display
    from loop_bench.experiments.run.measurement import Measurement


@pytest.mark.stage(Stage.EQUIVALENCE)
def test_equivalence(
    measurement: Measurement, progress: ProgressDisplay, pytestconfig: pytest.Config, counted: None
) -> None:
    """Records it; what follows if they do not is for the verdict to say."""
    progress.stage("both loops with everything the same but how it is carried out")
    same = pytest_options.pair(pytestconfig).equivalent
    if same is None:
        pytest.skip("no options are known that make these loops the same algorithm")
    measurement.check_equivalence(same)
