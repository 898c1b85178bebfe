"""Loops with several replicas, in a process of their own: as how many devices a CPU counts is decided once for each."""

import subprocess
import sys
from pathlib import Path

import programs
import pytest

CASES = Path(__file__).parents[1] / "replicas_cases.py"


@pytest.mark.parametrize("mark", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_loops_with_two_replicas(mark):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", mark, str(CASES)]
    found = subprocess.run(
        command, env=programs.alone(), capture_output=True, text=True, cwd=CASES.parents[1], check=False
    )
    assert found.returncode == 0, found.stdout[-20000:] + found.stderr[-2000:]
