"""Where does the time of each loop go?"""

from __future__ import annotations

import pytest

from bench import options
from bench.measurement import Measurement
from bench.progress import ProgressDisplay
from bench.report import leaving
from bench.session import AtEnd


@pytest.mark.is_profile
def test_profile(
    measurement: Measurement,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    at_end: AtEnd,
    counted: None,
) -> None:
    """Leaves a trace of each loop and a summary; what is too slow is for a gate to say."""
    if not options.is_profiled(pytestconfig):
        pytest.skip("--profile traces a stretch of each loop, and says where its time goes")
    from bench.profile import experiment

    settings = measurement.settings.model_copy(update={"batches": experiment.BATCHES})
    folder = options.results(pytestconfig) / f"profile-{settings.preset}"
    found = experiment.profile(settings, folder, progress.part(options.profile_seconds(pytestconfig)))
    assert found.settings.batches == experiment.BATCHES
    at_end(leaving.leave(found, folder, [experiment.traces(folder)]).show)
