"""The experiments beside the comparison: each runs when its option is given, and writes a record of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from loop_bench.cli import options, pytest_options
from loop_bench.cli.progress import ProgressDisplay
from loop_bench.cli.session import AtEnd
from loop_bench.experiments import registry
from loop_bench.experiments.experiment import Parts
from loop_bench.machine import gpu
from loop_bench.report import files

NAMES = [each.name for each in registry.experiments() if each.switch]


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.is_experiment(name)) for name in NAMES])
def test_experiment(
    name: str,
    request: pytest.FixtureRequest,
    progress: ProgressDisplay,
    pytestconfig: pytest.Config,
    at_end: AtEnd,
    came_to_nothing: Callable[[str], NoReturn],
    counted: None,
) -> None:
    """Leaves record, tables and plots; a loop that is slow, or crashes at times, is a result and not a failure."""
    experiment = registry.experiment(name)
    asked = pytest_options.asked_of(pytestconfig, experiment)
    assert asked is not None, "it is skipped then"
    assert experiment.switch is not None
    if experiment.switch.with_run:
        request.getfixturevalue("measurement")
    else:
        progress.stage("starting TensorFlow")
        gpu.share()
    settings = pytest_options.settings(pytestconfig)
    work = experiment.prepare(pytest_options.pair(pytestconfig), options.settings_of(asked, settings.preset), asked)
    folder = pytest_options.results(pytestconfig) / f"{name}-{settings.preset}"
    tell = progress.weighted(work.total)
    if isinstance(work, Parts):
        progress.stage(experiment.stage)
        record = work.run(folder, lambda title: tell(*experiment.titled(title), 1.0))
    else:
        record = work.run(folder, tell)
    at_end(files.leave(record, registry.report, folder, experiment.notes(folder)).show)
    experiment.tidy(folder)
    if flaw := experiment.flaw(record):
        came_to_nothing(f"{name}: {flaw}")
