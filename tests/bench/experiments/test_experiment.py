import importlib

import pytest

from loop_bench.experiments import registry
from loop_bench.jobs import gather

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def quickly(monkeypatch):
    """Trials run in this process."""
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")

    def gathered(trials, folder, **how):
        return gather.gather(trials, folder, **{**how, "run": gather.inline})

    for experiment in ("survival", "convergence", "sweep", "ladder"):
        monkeypatch.setattr(
            importlib.import_module(f"loop_bench.experiments.{experiment}.experiment"), "gather", gathered
        )


DIES = "loop 'toys:doomed' (after): run() failed with RuntimeError: out of something, at "


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (
            ["survive", "--fault", "nan", "--fault", "inf", "--seeds", "1"],
            "survival",
            "none of the 2 runs of after succeeded: not tested: it does not complete without a fault: "
            "RuntimeError: out of something",
        ),
        (
            ["converge", "--seeds", "2", "--epochs", "1"],
            "convergence",
            f"none of the 2 runs of after succeeded: crashed: {DIES}",
        ),
        (
            ["sweep", "--sweep", "dies_after=500,600", "--rounds", "1", "--batches", "1"],
            "sweep",
            f"none of the 2 points succeeded: crashed: {DIES}",
        ),
        (
            ["ladder", "--rounds", "1", "--batches", "1"],
            "ladder",
            f"the only change failed: crashed: {DIES.replace('after', 'everything')}",
        ),
        (["profile", "--batches", "1"], None, DIES),
        (["equivalence", "--batches", "10"], None, DIES),
    ],
)
def test_a_loop_that_always_dies_is_an_error_with_the_cause_and_the_record_is_left(
    run, quickly, tmp_path, arguments, kind, says
):
    pair = ["--before", "toys:rated", "--after", "toys:doomed", "--preset", "any", "--out", tmp_path]
    code, _, err = run(*arguments, *pair)
    assert code == 1
    assert err.splitlines()[-1].startswith(f"error: {says}")
    assert "Traceback" not in err
    if kind:
        assert registry.read(tmp_path / f"{kind}.json").kind == kind
