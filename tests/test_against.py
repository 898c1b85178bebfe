"""Comparison of a branch with main in a user's project, from the command to the record; clean-up after interruption."""

import signal
import subprocess
import sys

import programs
import pytest
from repositories import commit, git, repository
from waiting import until

from loop_bench.experiments.run.record import Record

TRAIN = """
import os

import numpy as np
import tensorflow as tf
from bench import rates


class Loop:
    def __init__(self, read_each):
        self.weight = tf.Variable([1.0])
        self.losses, self.read_each = [], read_each
        self.step = tf.function(self.train)

    def train(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.weight**2)
        self.weight.assign_sub(rates.RATE * tape.gradient(loss, self.weight))
        return loss

    def run(self, batches):
        for _ in range(batches):
            loss = self.step()
            self.losses.append(float(loss) if self.read_each else loss)

    def history(self):
        return {{"loss": np.array([float(loss) for loss in self.losses])}}

    @property
    def variables(self):
        return [self.weight]


def make_loop(spec):
    open(os.environ["BEGUN"], "w").close()
    return Loop({read_each})
"""

SMALL = ["--preset", "any", "--batches", "2", "--rounds", "12", "--processes", "2", "--utilisation", "0.3"]


@pytest.fixture
def project(tmp_path):
    """A repository with a package called bench, whose loop reads each batch on main but not in the working tree."""
    project = repository(tmp_path / "project", README__md="")
    package = project / "bench"
    package.mkdir()
    (package / "rates.py").write_text("RATE = 0.1\n")
    (package / "train.py").write_text(TRAIN.format(read_each=True))
    commit(project)
    git(project, "branch", "--force", "published")
    (package / "train.py").write_text(TRAIN.format(read_each=False))
    return project


@pytest.fixture
def begin(project, tmp_path, monkeypatch):
    """Starts a run of the working tree against the published branch, with further options."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    begun = []

    def start(*more):
        command = [sys.executable, "-m", "loop_bench", "against", "published", "--after", "bench.train:make_loop"]
        process = subprocess.Popen(
            [*command, *SMALL, "--results", str(tmp_path / "results"), *more],
            cwd=project,
            env=programs.alone(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


def is_clean(project, tmp_path):
    """Whether no checkout is left; pytest keeps folders of its own among the temporary files."""
    left = [*(tmp_path / "temporary").glob("loop-bench-*"), *(tmp_path / "temporary").glob("*autograph*")]
    return not left and not (project / ".git" / "worktrees").exists()


@pytest.mark.slow
def test_a_branch_against_another(project, begin, tmp_path):
    killed = begin("--survival", "none")
    until(lambda: "\n" in git(project, "worktree", "list"))
    killed.kill()
    killed.wait()
    assert not is_clean(project, tmp_path)
    process = begin()
    out = process.communicate()[0]
    assert process.returncode == 0, out
    assert is_clean(project, tmp_path)
    head = git(project, "rev-parse", "HEAD")[:7]
    told = " ".join(out.split())  # the facts, however they are folded
    assert f"before bench.train:make_loop of published ({head}), TensorFlow " in told
    assert f"after bench.train:make_loop of working tree ({head}, with changes), TensorFlow " in told
    assert "in 2 processes of each, one after the other" in told
    (path,) = (tmp_path / "results").glob("*.json")
    record = Record.read(path)
    before, after = record.arms["before"], record.arms["after"]
    assert [done.group for done in record.rounds] == [0] * 6 + [1] * 6
    assert [site.file for site in before.host_syncs.sites] == ["bench/train.py"]
    assert before.host_syncs.sites[0].source.startswith("self.losses.append(float(loss)")
    assert after.host_syncs.sites[0].source.startswith("return {")
    assert (before.residence.revision, after.residence.revision) == ("published", None)
    assert record.problems == ()
    assert all(record.arms[arm].telemetry.stretch.cpu_seconds > 0 for arm in record.arms)
    outcomes = {arm: {each.fault: each.outcome for each in record.arms[arm].survivals} for arm in record.arms}
    assert outcomes["before"]["nan"] == outcomes["after"]["nan"] == "poisoned weights"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(project, begin, tmp_path, number):
    process = begin("--survival", "none")
    until((tmp_path / "begun").exists)  # a loop is built: there are a checkout, processes and files of theirs
    process.send_signal(number)
    if number == signal.SIGTERM:  # as `timeout` sends it: to the process, and to its group
        process.send_signal(number)
    out = process.communicate()[0]
    assert process.returncode == 2, out
    assert is_clean(project, tmp_path)


@pytest.mark.slow
def test_what_a_revision_lacks_is_one_line(project, begin):
    git(project, "rm", "--quiet", "--cached", "bench/rates.py")
    git(project, "commit", "--quiet", "--amend", "--message", "without rates")
    git(project, "branch", "--force", "published")
    out = begin("--survival", "none").communicate()[0]
    lines = [line for line in out.splitlines() if "importing bench.train failed" in line]
    assert len(lines) == 1, out
    assert "if it has another name at published: --before module:factory" in lines[0]
    assert "not in published, because git does not track it: bench/rates.py; --link PATH puts one there" in out
