"""Loops on several devices, in a process of their own: how many devices a CPU is, is decided once for a process."""

import subprocess
import sys
from pathlib import Path

import programs

CASES = Path(__file__).parent / "distributed_cases.py"


def test_loops_on_several_devices():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    found = subprocess.run(
        command, env=programs.alone(), capture_output=True, text=True, cwd=CASES.parents[1], check=False
    )
    assert found.returncode == 0, found.stdout[-20000:] + found.stderr[-2000:]
