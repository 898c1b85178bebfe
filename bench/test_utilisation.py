"""How does each loop use the machine?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from loop_bench.cli import pytest_options
from loop_bench.cli.progress import ProgressDisplay
from loop_bench.experiments.run.stages import Stage
from loop_bench.jobs.flaw import flaw
from loop_bench.jobs.gather import Run, in_processes
from loop_bench.settings import ARMS

if TYPE_CHECKING:  # it starts TensorFlow, which should wait until there is a progress display
    from loop_bench.experiments.run.measurement import Measurement

_STAGE = "watching both loops, each in a process of its own"


@pytest.mark.stage(Stage.UTILISATION)
def test_utilisation(
    measurement: Measurement,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    came_to_nothing: Callable[[str], NoReturn],
    counted: None,
) -> None:
    """Records each loop's use of the machine."""
    seconds = pytest_options.utilisation(pytestconfig, measurement.settings.preset)
    tell = progress.weighted(len(ARMS))
    progress.stage(_STAGE)
    elsewhere = request.getfixturevalue("residences") is not None  # watched from this process
    run: Run = in_processes if elsewhere else request.getfixturevalue("processes")
    results = measurement.watch(seconds, tmp_path, lambda arm: tell(_STAGE, f": {arm} done", 1.0), run)
    if why := flaw({arm: [result.died] for arm, result in results.items()}):
        came_to_nothing(f"utilisation: {why}; --utilisation 0 leaves it out")
