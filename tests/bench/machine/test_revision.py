import os
import select
import subprocess

import pytest
from repositories import git as plain_git
from repositories import repository

from loop_bench.errors import UsageError
from loop_bench.machine.revision import GitError, git, state


def test_the_commit_is_that_of_the_folder(tmp_path):
    assert state(tmp_path) == (None, None)
    folder = repository(tmp_path / "here", train__py="")
    commit = plain_git(folder, "rev-parse", "HEAD")
    assert state(folder) == (commit, False)
    (folder / "new").touch()
    assert state(folder) == (commit, True)


def test_a_repository_without_a_commit(tmp_path):
    plain_git(tmp_path, "init", "--quiet")
    assert state(tmp_path) == (None, False)


def test_variables_of_a_hook_do_not_count(tmp_path, monkeypatch):
    other = repository(tmp_path / "other", a="")
    folder = repository(tmp_path / "here", b="")
    right = plain_git(folder, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert state(folder) == (right, False)


def test_what_git_says_is_one_line(tmp_path):
    with pytest.raises(GitError, match=r"^fatal: not a git repository \(or any .*\): \.git$"):
        git(tmp_path, "status")


def test_there_is_no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git: cannot be started"):
        git(tmp_path, "status")
    assert state(tmp_path) == (None, None)


def test_nothing_is_fetched(tmp_path):
    """A partial clone has commits whose files git fetches when they are wanted."""
    origin = repository(tmp_path / "origin", train__py="rate = 1\n")
    plain_git(origin, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    plain_git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{origin}", str(clone))
    with pytest.raises(GitError):
        git(clone, "show", "HEAD:train.py")
    assert plain_git(clone, "show", "HEAD:train.py") == "rate = 1"  # as it would be


def test_an_interruption_ends_what_git_has_started(tmp_path):
    folder = repository(tmp_path / "here", a="")
    reading, writing = os.pipe()
    alias = f"!kill -INT {os.getpid()}; exec sleep 100"  # runs in a shell that git starts
    with pytest.raises(KeyboardInterrupt):
        git(folder, "-c", f"alias.wait={alias}", "wait", held=writing)
    os.close(writing)
    ended, _, _ = select.select([reading], [], [], 10)  # the other end is closed
    os.close(reading)
    assert ended


def test_a_time_limit(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        git(tmp_path, "-c", "alias.wait=!exec sleep 100", "wait", timeout=0.05)
