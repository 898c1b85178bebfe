"""Which change between the loops brings what?"""

from __future__ import annotations

import pytest

from bench import arms, devices, ladder, options
from bench.progress import ProgressDisplay
from bench.report import leaving
from bench.session import AtEnd


@pytest.mark.climbs_ladder
def test_ladder(progress: ProgressDisplay, pytestconfig: pytest.Config, at_end: AtEnd, counted: None) -> None:
    """Times each rung; one that is slower, or does not compute the same, is a result and no failure of the test."""
    if not pytestconfig.getoption("ladder"):
        pytest.skip("takes long: --ladder was not given")
    progress.stage("starting TensorFlow")
    devices.share()
    settings = options.settings(pytestconfig)
    folder = options.results(pytestconfig) / f"ladder-{settings.preset}"
    rungs, limits = arms.ladder(settings), options.ladder_limits(pytestconfig)
    scale = options.ladder_seconds(pytestconfig) / ladder.seconds(rungs, limits)
    record = ladder.climb(rungs, limits, folder, ladder.shown_by(progress, scale))
    at_end(leaving.leave(record, folder).show)
