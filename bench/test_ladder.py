"""Which change between the loops brings what?"""

from __future__ import annotations

import pytest

from bench.cli import options
from bench.cli.progress import ProgressDisplay
from bench.cli.session import AtEnd
from bench.experiments import kinds
from bench.experiments.ladder import climb
from bench.machine import gpu
from bench.report import files


@pytest.mark.climbs_ladder
def test_ladder(progress: ProgressDisplay, pytestconfig: pytest.Config, at_end: AtEnd, counted: None) -> None:
    """Times each rung; one that is slower, or does not compute the same, is a result and no failure of the test."""
    if not pytestconfig.getoption("ladder"):
        pytest.skip("takes long: --ladder was not given")
    progress.stage("starting TensorFlow")
    gpu.share()
    settings = options.settings(pytestconfig)
    folder = options.results(pytestconfig) / f"ladder-{settings.preset}"
    rungs, limits = options.pair(pytestconfig).ladder(settings), options.ladder_limits(pytestconfig)
    scale = options.ladder_seconds(pytestconfig) / climb.seconds(rungs, limits)
    record = climb.climb(rungs, limits, folder, progress.weighted(scale))
    at_end(files.leave(record, kinds.report, folder).show)
