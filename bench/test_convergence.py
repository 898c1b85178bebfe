"""Which loop learns better?"""

from __future__ import annotations

import pytest

from bench.cli import options
from bench.cli.progress import ProgressDisplay
from bench.cli.session import AtEnd
from bench.experiments import kinds
from bench.experiments.convergence.plan import EPOCHS
from bench.machine import gpu
from bench.report import files
from bench.settings import ARMS

_STAGE = "both loops from several seeds, each in a process of its own"


@pytest.mark.has_seeds
def test_convergence(progress: ProgressDisplay, pytestconfig: pytest.Config, at_end: AtEnd, counted: None) -> None:
    """Leaves curves and verdicts; a loop that learns worse, or dies, is a result and no failure of the test."""
    seeds = options.convergence_seeds(pytestconfig)
    if not seeds:
        pytest.skip("takes long: --convergence was not given")
    progress.stage("starting TensorFlow")
    gpu.share()
    from bench.experiments.convergence.experiment import converge
    from bench.jobs import pool

    settings = options.settings(pytestconfig)
    plan = options.pair(pytestconfig).convergence(settings, seeds, EPOCHS)
    folder = options.results(pytestconfig) / f"convergence-{settings.preset}"
    each = options.convergence_seconds(pytestconfig) / len(plan.trials())

    def tell(title: str) -> None:
        progress.advance(each)
        progress.stage(_STAGE, f": {title}")

    progress.stage(_STAGE)
    record = converge(plan, folder, pool.workers(), tell)
    at_end(files.leave(record, kinds.report, folder).show)
    assert not record.is_empty, f"no run came to its end: {record.courses[ARMS[0]][0].flaw}"
