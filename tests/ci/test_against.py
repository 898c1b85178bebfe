"""`.ci/against`, with stand-ins for what it calls."""

import functools
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "against"


@pytest.fixture
def job(ci, tmp_path):
    """Runs the script, with options."""
    return functools.partial(ci, SCRIPT, "origin/main", tmp_path / "results")


def test_a_run_that_passes(job, tmp_path):
    code, calls, summary = job("--rounds", "10")
    assert code == 0
    (run,) = calls.splitlines()
    assert run.startswith("pytest bench/ --benchmark-only ")
    for wanted in ("--against origin/main ", "--max-slowdown 10% ", f"--results {tmp_path}/results --rounds 10"):
        assert wanted in run
    assert summary == ""  # the run itself adds to it


@pytest.mark.parametrize("gate", [1, 2, 4, 5])
def test_the_exit_code_is_that_of_the_gate(job, gate):
    assert job(gate=gate)[0] == gate


def test_a_run_that_cannot_tell_is_no_failure_and_says_so(job):
    code, _, summary = job(gate=3)
    assert code == 0
    assert "cannot tell" in summary


@pytest.mark.parametrize("gate", [0, 2, 3])
def test_a_run_that_leaves_nothing_does_not_pass(job, gate):
    code, _, summary = job(gate=gate, records=0)
    assert code != 0
    assert "Nothing was measured" in summary


@pytest.mark.parametrize("arguments", [[], ["origin/main"]])
def test_without_a_revision_and_a_folder_it_says_what_it_needs(arguments):
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "usage: .ci/against REVISION FOLDER" in done.stderr
