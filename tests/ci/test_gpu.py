"""`.ci/gpu`, with stand-ins for pytest and python that say what they were called with."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "gpu"


@pytest.fixture
def job(tmp_path):
    """Runs the script; gives its exit code, what was called, and the summary.

    Its keyword arguments are the exit codes of the run and of the report, and how many records the run leaves.
    """
    programs = tmp_path / "programs"
    programs.mkdir()
    calls, summary = tmp_path / "calls", tmp_path / "summary.md"

    def program(name, body):
        path = programs / name
        path.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >> "{calls}"\n{body}\n')
        path.chmod(0o755)

    def run(*options, gate=0, report=0, records=1):
        leave = 'while [[ $1 != --results ]]; do shift; done; touch "$2/a.json"; ' if records else ""
        program("pytest", f"{leave}exit {gate}")
        program("loop-bench", f"exit {report}")
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(summary)}
        arguments = [SCRIPT, tmp_path / "results", *options]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, calls.read_text(), summary.read_text() if summary.exists() else ""

    return run


def test_a_run_that_passes(job, tmp_path):
    code, calls, summary = job("--preset", "tiny")
    assert code == 0
    first, *reports = calls.splitlines()
    for wanted in ("pytest bench/ --benchmark-only", "--require-gpu", "--reference results/", "--preset tiny"):
        assert wanted in first
    (folder,) = (tmp_path / "results").iterdir()
    assert reports == [f"loop-bench report {folder}/a.json --format html --into {folder}/a.html"]
    assert summary == ""  # the run itself adds to it


@pytest.mark.parametrize("gate", [1, 2, 3, 4, 5])
def test_the_exit_code_is_that_of_the_gate(job, gate):
    code, calls, _ = job(gate=gate)
    assert code == gate
    assert calls.count("loop-bench report") == 1  # also of what did not pass


def test_a_run_that_leaves_nothing_does_not_pass(job):
    code, calls, _ = job(records=0)
    assert code != 0
    assert "loop-bench report" not in calls


def test_without_a_gpu_the_summary_says_that_nothing_was_measured(job):
    code, _, summary = job(gate=2, records=0)
    assert code == 2
    assert "Nothing was measured" in summary


def test_without_a_reference_the_summary_says_how_one_is_made(job):
    _, _, summary = job(gate=4)
    assert "loop-bench accept RECORD" in summary
    assert (SCRIPT.parents[1] / "RUNNERS.md").exists()


def test_a_report_that_fails_is_no_pass_and_hides_no_gate(job):
    assert job(report=7)[0] == 7
    assert job(report=7, gate=1)[0] == 1


def test_without_a_folder_it_says_what_it_needs():
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "usage: .ci/gpu FOLDER" in done.stderr
