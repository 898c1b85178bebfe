"""Loops with several replicas, in a process of their own, because a process can divide its CPU only once."""

from pathlib import Path

import programs
import pytest

CASES = Path(__file__).parents[1] / "replicas_cases.py"


@pytest.mark.parametrize("mark", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_loops_with_two_replicas(mark):
    programs.cases(CASES, mark)
