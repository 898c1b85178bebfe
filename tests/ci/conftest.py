"""Scripts of CI, with stand-ins for the programs that they call, which say what they were called with."""

import os
import subprocess

import pytest


@pytest.fixture
def ci(tmp_path):
    """Runs a script with arguments; gives its exit code, what was called, and the summary.

    Its keyword arguments are the exit codes of the run and of the report, and how many records the run leaves.
    """
    programs = tmp_path / "programs"
    programs.mkdir()
    calls, summary = tmp_path / "calls", tmp_path / "summary.md"

    def program(name, body):
        path = programs / name
        path.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >> "{calls}"\n{body}\n')
        path.chmod(0o755)

    def run(*command, gate=0, report=0, records=1):
        leave = 'while [[ $1 != --results ]]; do shift; done; touch "$2/a.json"; ' if records else ""
        program("pytest", f"{leave}exit {gate}")
        program("loop-bench", f"exit {report}")
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(summary)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, calls.read_text(), summary.read_text() if summary.exists() else ""

    return run
