"""What does a batch cost as the work grows?"""

from __future__ import annotations

import pytest

from bench.cli import options
from bench.cli.progress import ProgressDisplay
from bench.cli.session import AtEnd
from bench.experiments import kinds
from bench.experiments.run.measurement import Measurement
from bench.report import files

_STAGE = "both loops at several sizes, each in a process of its own"


@pytest.mark.has_sizes
def test_sweep(
    measurement: Measurement,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    at_end: AtEnd,
    counted: None,
) -> None:
    """Records what both loops cost at each size; a size that they cannot do is a result and no failure of the test."""
    from bench.experiments.sweep import experiment

    settings = measurement.settings
    plan = options.pair(pytestconfig).sweep(settings, options.sweep(pytestconfig))
    folder = options.results(pytestconfig) / f"sweep-{settings.preset}"
    each = options.sweep_seconds(pytestconfig) / len(plan.distinct())

    def tell(title: str) -> None:
        progress.advance(each)
        progress.stage(f"{_STAGE}; measured: {title}")

    progress.stage(_STAGE)
    found = experiment.sweep(plan, folder, tell)
    at_end(files.leave(found, kinds.report, folder).show)
    experiment.forget(folder)
    failed = [each.why for each in found.measured.values() if each.record is None]
    assert len(failed) < len(found.measured), f"no size could be measured: {failed[0]}"
