import os
import re
import shlex
import subprocess

import pytest
from repositories import SETTINGS, commit, git, is_clean, repository

from loop_bench.arms.worktree import Worktrees
from loop_bench.errors import UsageError


def with_submodule(tmp_path, project):
    """A submodule in libs/ops, with a file that changes after the commit `before`."""
    library = repository(tmp_path / "library", ops__py="version = 1\n")
    git(project, "submodule", "--quiet", "add", str(library), "libs/ops")
    before = commit(project)
    return library, before


def test_a_revision_is_as_it_was_committed(project, temporary):
    before = git(project, "rev-parse", "HEAD")
    (project / "train.py").write_text("rate = 2\n")
    after = commit(project)
    (project / "train.py").write_text("rate = 3\n")
    with Worktrees(project) as worktrees:
        assert worktrees.root == project
        checkout = worktrees.at("HEAD~1")
        assert (checkout.revision, checkout.commit, checkout.notes) == ("HEAD~1", before, ())
        assert checkout.folder.name == "project"
        assert (checkout.folder / "train.py").read_text() == "rate = 1\n"
        assert (worktrees.at(after).folder / "train.py").read_text() == "rate = 2\n"
    assert (project / "train.py").read_text() == "rate = 3\n"
    assert is_clean(project, temporary)


def test_a_commit_is_checked_out_once(project):
    with Worktrees(project) as worktrees:
        first = worktrees.at("HEAD")
        assert worktrees.at("HEAD") == first
        by_name = worktrees.at("main")
        assert (by_name.folder, by_name.revision) == (first.folder, "main")


def test_unusual_names(tmp_path, temporary):
    """A package that is called as the folder of our sources, a blank in a path, a slash in a branch."""
    project = repository(tmp_path / "my project", readme="")
    git(project, "checkout", "--quiet", "-b", "ada/faster loop".replace(" ", "-"))
    (project / "bench").mkdir()
    (project / "bench" / "__init__.py").write_text("theirs = True\n")
    commit(project)
    with Worktrees(project / "bench") as worktrees:
        checkout = worktrees.at("ada/faster-loop")
        assert checkout.folder.name == "my project"
        assert (checkout.folder / "bench" / "__init__.py").read_text() == "theirs = True\n"
    assert is_clean(project, temporary)


def test_a_worktree_of_the_users_may_be_the_working_tree(project, tmp_path):
    own = tmp_path / "own"
    git(project, "worktree", "add", "--quiet", "-b", "mine", str(own))
    with Worktrees(own) as worktrees:
        assert worktrees.at("main").folder.name == "own"
    assert len(git(project, "worktree", "list").splitlines()) == 2
    assert git(own, "status", "--porcelain") == ""


def test_hooks_are_not_run(project):
    hook = project / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch hook-was-here\n")
    hook.chmod(0o755)
    with Worktrees(project) as worktrees:
        assert not (worktrees.at("main").folder / "hook-was-here").exists()


@pytest.mark.parametrize("revision", ["mian", "", "--all", "HEAD~7", "HEAD:train.py"])
def test_an_unknown_revision(project, revision):
    with Worktrees(project) as worktrees, pytest.raises(UsageError) as raised:
        worktrees.at(revision)
    assert str(raised.value) == (
        f"revision {revision!r}: is not in the repository {project}; git branch --all and git tag list the names "
        "that are there"
    )


@pytest.mark.parametrize("depth", [[], ["--depth=1"]])
def test_a_branch_that_is_not_fetched_is_there_after_what_the_message_says(project, tmp_path, depth):
    git(project, "branch", "slower/loop")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--single-branch", *depth, f"file://{project}", str(clone))
    with Worktrees(clone) as worktrees:
        with pytest.raises(UsageError, match="is not in the repository") as raised:
            worktrees.at("origin/slower/loop")
        advice = re.search("; git (fetch .*) brings it, if origin has it$", str(raised.value))[1]
        assert ("--depth" in advice) == bool(depth)  # it would make a whole clone shallow
        git(clone, *advice.split())
        assert worktrees.at("origin/slower/loop").commit == git(project, "rev-parse", "HEAD")
        with pytest.raises(UsageError, match=r"; did you mean origin/slower/loop\?$"):
            worktrees.at("slower/loop")


def test_a_commit_that_a_shallow_clone_lacks_is_there_after_what_the_message_says(project, tmp_path):
    (project / "train.py").write_text("rate = 2\n")
    commit(project)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{project}", str(clone))
    with Worktrees(clone) as worktrees:
        with pytest.raises(UsageError, match="; the clone is shallow: git fetch --unshallow brings the rest"):
            worktrees.at("HEAD~1")
        git(clone, "fetch", "--quiet", "--unshallow")
        assert worktrees.at("HEAD~1").commit == git(project, "rev-parse", "HEAD~1")


def test_a_folder_in_no_repository(tmp_path, temporary):
    with pytest.raises(UsageError, match=rf"^folder {tmp_path}: has no revisions .*not a git repository"):
        Worktrees(tmp_path).__enter__()
    with pytest.raises(UsageError, match=rf"^folder {tmp_path}/gone: has no revisions .*No such file or directory"):
        Worktrees(tmp_path / "gone").__enter__()


def test_no_folder_for_temporary_ones(project, temporary):
    temporary.rmdir()
    with pytest.raises(UsageError, match=rf"^temporary folder {temporary}/.*: cannot be used \(No such file.*TMPDIR"):
        Worktrees(project).__enter__()


def test_what_git_cannot_check_out_is_one_line(project, temporary):
    (project / ".gitattributes").write_text("train.py filter=broken\n")
    commit(project)
    git(project, "config", "filter.broken.smudge", "false")
    git(project, "config", "filter.broken.clean", "cat")
    git(project, "config", "filter.broken.required", "true")
    with Worktrees(project) as worktrees:
        line = rf"^revision 'main': cannot be checked out in {temporary}, where \d+\.\d GiB are free: .*filter.*failed"
        with pytest.raises(UsageError, match=line):
            worktrees.at("main")
        git(project, "config", "filter.broken.smudge", "cat")
        assert (worktrees.at("main").folder / "train.py").exists()
    assert is_clean(project, temporary)


def test_an_interruption_in_the_middle_of_a_checkout(project, temporary):
    (project / ".gitattributes").write_text("train.py filter=endless\n")
    commit(project)
    git(project, "config", "filter.endless.smudge", f"kill -INT {os.getpid()}; exec sleep 100")
    with pytest.raises(KeyboardInterrupt), Worktrees(project) as worktrees:
        worktrees.at("main")
    assert is_clean(project, temporary)


def test_two_runs_at_once(project, temporary):
    with Worktrees(project) as first:
        before = first.at("main")
        with Worktrees(project) as second:
            other = second.at("main")
            assert other.folder != before.folder
            assert git(before.folder, "status", "--porcelain") == ""
        assert not other.folder.exists()
        assert git(before.folder, "status", "--porcelain") == ""
    assert is_clean(project, temporary)


def test_what_git_does_not_track_is_noted(project):
    (project / ".gitignore").write_text("*.h5\ncache/\n__pycache__/\n")
    commit(project)
    for path in (
        "data/train/0.npy",
        "weights.h5",
        "cache/x",
        "train_2.py",
        "package/__pycache__/train.cpython-311.pyc",
        "old/.ipynb_checkpoints/train.ipynb",
        "build/lib.py",
        "project.egg-info/PKG-INFO",
        "env/pyvenv.cfg",
        "env/bin/python",
    ):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).touch()
    with Worktrees(project) as worktrees:
        assert worktrees.at("main").notes == (
            "not in main, because git does not track it: cache/, data/, train_2.py, weights.h5; --link PATH puts one "
            "there",
        )


def test_what_runs_leave_is_not_noted(project):
    for path in ("results/runs/1.json", "out/1.json", "out/old/weights.h5", "data/1.npy"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).touch()
    for results, noted in (
        ("results/runs", "data/, out/"),
        ("out", "data/, results/"),
        ("out/old", "data/, out/, "),
        (".", "data/, out/, results/"),
        ("..", "data/, out/, results/"),
    ):
        with Worktrees(project, results=project / results) as worktrees:
            assert f"git does not track it: {noted}" in worktrees.at("main").notes[0]


def test_of_what_git_does_not_track_five_are_named(project):
    for number in range(9):
        (project / f"{number}.npy").touch()
    with Worktrees(project) as worktrees:
        assert ": 0.npy, 1.npy, 2.npy, 3.npy, 4.npy and 4 more; " in worktrees.at("main").notes[0]


def test_what_the_revision_has_is_not_noted(project):
    (project / "data").touch()
    commit(project)
    git(project, "rm", "--quiet", "--cached", "data")
    git(project, "commit", "--quiet", "--message", "no data")
    with Worktrees(project) as worktrees:
        assert worktrees.at("main~1").notes == ()
        assert "data" in worktrees.at("main").notes[0]


def test_links(project, temporary, tmp_path, monkeypatch):
    for path in ("data/images/0.npy", "runs/first/model.h5", "weights.h5"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(path)
    monkeypatch.chdir(project / "runs")
    with Worktrees(project, ["data/images", "data", "first/model.h5", project / "weights.h5"]) as worktrees:
        checkout = worktrees.at("main")
        assert (checkout.folder / "data" / "images" / "0.npy").read_text() == "data/images/0.npy"
        assert (checkout.folder / "runs" / "first" / "model.h5").read_text() == "runs/first/model.h5"
        assert (checkout.folder / "weights.h5").is_symlink()
        assert checkout.notes == ()
    assert is_clean(project, temporary)
    assert (project / "data" / "images" / "0.npy").read_text() == "data/images/0.npy"
    assert (project / "runs" / "first" / "model.h5").exists()


@pytest.mark.parametrize("link", ["missing", "..", ".", ".git/config", "../elsewhere"])
def test_a_link_to_what_is_not_in_the_working_tree(project, temporary, link):
    (project.parent / "elsewhere").touch()
    with pytest.raises(UsageError, match=rf"^link {re.escape(link)}: "):
        Worktrees(project, [link]).__enter__()
    assert is_clean(project, temporary)


def test_a_link_that_would_hide_what_the_revision_has(project, tmp_path):
    (project / "data").mkdir()
    (project / "data" / "README").touch()
    (project / "outside").symlink_to(tmp_path)
    commit(project)
    (project / "outside").unlink()
    (project / "outside").mkdir()
    (project / "outside" / "planted").touch()
    for link in ("data", "train.py", "outside/planted"):
        with Worktrees(project, [link]) as worktrees, pytest.raises(UsageError, match=f"^link {link}: main has files"):
            worktrees.at("main")
    assert not (tmp_path / "planted").exists()


def test_submodules_are_as_the_revision_has_them(project, temporary, tmp_path):
    library, before = with_submodule(tmp_path, project)
    (library / ".gitattributes").write_text("ops.py export-ignore\n")  # of archives, not of checkouts
    (library / "ops.py").write_text("version = 2\n")
    git(project / "libs" / "ops", "pull", "--quiet", "origin", commit(library))
    commit(project)
    with Worktrees(project) as worktrees:
        for revision, text in ((before, "version = 1\n"), ("main", "version = 2\n")):
            checkout = worktrees.at(revision)
            assert (checkout.folder / "libs" / "ops" / "ops.py").read_text() == text
            assert checkout.notes == ()
    assert git(project, "status", "--porcelain") == ""
    assert git(project / "libs" / "ops", "status", "--porcelain") == ""
    assert is_clean(project, temporary)


def test_a_submodule_in_a_submodule(project, tmp_path):
    inner = repository(tmp_path / "inner", kernel__py="fast = True\n")
    library = repository(tmp_path / "library", ops__py="")
    git(library, "submodule", "--quiet", "add", str(inner), "kernels")
    commit(library)
    git(project, "submodule", "--quiet", "add", str(library), "ops")
    git(project, "submodule", "--quiet", "update", "--init", "--recursive")
    commit(project)
    with Worktrees(project) as worktrees:
        assert (worktrees.at("main").folder / "ops" / "kernels" / "kernel.py").read_text() == "fast = True\n"


def test_a_submodule_without_the_revisions_commit(project, tmp_path):
    library, before = with_submodule(tmp_path, project)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--recurse-submodules", str(project), str(clone))
    (library / "ops.py").write_text("version = 2\n")
    its = commit(library)
    git(project / "libs" / "ops", "pull", "--quiet", "origin", its)
    commit(project)
    git(clone, "fetch", "--quiet", "--no-recurse-submodules")
    with Worktrees(clone) as worktrees:
        with pytest.raises(UsageError) as raised:
            worktrees.at("origin/main")
        start = f"submodule libs/ops: its commit {its[:7]} in origin/main is missing; "
        command = str(raised.value).removeprefix(start).removesuffix(" brings it")
        subprocess.run(["git", *SETTINGS, *shlex.split(command)[1:]], check=True, capture_output=True)
        checkout = worktrees.at("origin/main")
        assert (checkout.folder / "libs" / "ops" / "ops.py").read_text() == "version = 2\n"
        assert worktrees.at(before).commit == before


def test_a_submodule_that_is_not_initialised(project, tmp_path):
    with_submodule(tmp_path, project)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(project), str(clone))
    with Worktrees(clone) as worktrees:
        checkout = worktrees.at("main")
        assert [*(checkout.folder / "libs" / "ops").iterdir()] == []
        assert checkout.notes == (
            "submodule libs/ops: is empty in main, because it is not initialised in the working tree",
        )


def test_a_dirty_submodule(project, tmp_path):
    with_submodule(tmp_path, project)
    (project / "libs" / "ops" / "ops.py").write_text("version = 3\n")
    (project / "train.py").write_text("rate = 2\n")  # which is what is to be compared
    with Worktrees(project) as worktrees:
        checkout = worktrees.at("main")
        assert checkout.notes == ("submodule libs/ops: its changes are in the working tree only, not in main",)
        assert (checkout.folder / "libs" / "ops" / "ops.py").read_text() == "version = 1\n"
