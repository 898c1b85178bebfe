"""The question of bench/test_experiments.py, asked as users ask it."""

import os
import subprocess
import sys
from pathlib import Path

from bench.experiments.convergence.record import ConvergenceRecord

ROOT = Path(__file__).parents[3]
# Without what pytest-xdist leaves in it: pytest-benchmark would not measure then.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
ENVIRONMENT["PYTHONPATH"] = str(ROOT / "tests")


def bench(*arguments):
    toys = ["--before", "toys:rated", "--after", "toys:rated", "--preset", "any"]
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench"), "--benchmark-only", "-k", "convergence", "-rs"]
    command += [*toys, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, check=False)


def test_from_end_to_end(tmp_path):
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


def test_wrong_or_no_seeds(tmp_path):
    wrong = bench("--convergence", "many", "--results", tmp_path / "runs")
    assert wrong.returncode == 2
    assert "--convergence 'many': must be a whole number of at least 1" in wrong.stdout + wrong.stderr
    assert list(tmp_path.iterdir()) == []
