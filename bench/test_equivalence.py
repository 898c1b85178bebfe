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
    """Records whether both loops compute the same; the verdict draws the consequences."""
    progress.stage("comparing what both loops compute")
    options = pytest_options.pair(pytestconfig).equivalent
    if options is None:
        pytest.skip("no options are known that make these loops the same algorithm")
    measurement.check_equivalence(options)
