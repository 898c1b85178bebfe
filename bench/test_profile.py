"""Where does the time of each loop go?"""

from __future__ import annotations

import pytest

from bench.cli import options
from bench.cli.progress import ProgressDisplay
from bench.cli.session import AtEnd
from bench.experiments import kinds
from bench.experiments.run.measurement import Measurement
from bench.report import files


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
    from bench.experiments.profile import trial

    settings = measurement.settings.model_copy(update={"batches": trial.BATCHES})
    folder = options.results(pytestconfig) / f"profile-{settings.preset}"
    found = trial.profile(settings, folder, progress.part(options.profile_seconds(pytestconfig)))
    assert found.settings.batches == trial.BATCHES
    at_end(files.leave(found, kinds.report, folder, [trial.traces(folder)]).show)
