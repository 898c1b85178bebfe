"""`.ci/gpu`, with stand-ins for what it calls."""

import functools
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "gpu"


@pytest.fixture
def job(ci, tmp_path):
    """Runs the script, with options."""
    return functools.partial(ci, SCRIPT, tmp_path / "results")


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
    assert (SCRIPT.parents[1] / "docs" / "how-to" / "runners.md").exists()


def test_a_report_that_fails_is_no_pass_and_hides_no_gate(job):
    assert job(report=7)[0] == 7
    assert job(report=7, gate=1)[0] == 1


def test_without_a_folder_it_says_what_it_needs():
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "usage: .ci/gpu FOLDER" in done.stderr
