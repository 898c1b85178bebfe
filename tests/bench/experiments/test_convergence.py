"""The question of bench/test_experiments.py, asked as users ask it."""

import functools

import pytest

from loop_bench.cli.plugin import BENCH
from loop_bench.experiments.convergence.record import ConvergenceRecord

TOYS = ("--before", "toys:rated", "--after", "toys:rated", "--preset", "any")


@pytest.fixture
def bench(python):
    """Runs the one test of `pytest bench/` with some arguments."""
    return functools.partial(python, "-m", "pytest", BENCH, "--benchmark-only", "-k", "convergence", "-rs", *TOYS)


@pytest.mark.slow
def test_from_end_to_end(bench, tmp_path):
    done = bench("--convergence", 2, "--results", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "convergence-any"
    assert (
        "does the loop after learn better? no measurable difference: distance ↓: no measurable difference"
        in done.stdout
    )
    record = ConvergenceRecord.read(folder / "convergence.json")
    assert {loop: [run.flaw for run in runs] for loop, runs in record.courses.items()} == {
        "before": ["", ""],
        "after": ["", ""],
    }
    assert (folder / "convergence-quality-over-batches.svg").exists()


@pytest.mark.slow  # bench/cli/test_options.py has such a text for what checks it
def test_wrong_or_no_seeds(bench, tmp_path):
    wrong = bench("--convergence", "many", "--results", tmp_path / "runs")
    assert wrong.returncode == 2
    assert "--convergence 'many': must be a whole number of at least 1" in wrong.stdout + wrong.stderr
    assert list(tmp_path.iterdir()) == []
