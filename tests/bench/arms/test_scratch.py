import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from repositories import commit, git, is_clean

from loop_bench.arms import scratch
from loop_bench.arms.worktree import Worktrees

RUN = """
import os, signal, sys
from pathlib import Path
from loop_bench.arms import scratch
from loop_bench.arms.worktree import Worktrees

def end(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

{before}
with Worktrees(Path(sys.argv[1])) as worktrees:
    {inside}
"""

MOMENTS = {
    "before the folder is locked": ("scratch._take = end", "pass"),
    "in a checkout": ("os.environ['OWNER'] = str(os.getpid())", "worktrees.at('main')"),
    "after a checkout": ("", "worktrees.at('main^'); end()"),
    "while files are deleted": ("scratch.shutil.rmtree = end", "worktrees.at('main^')"),
    "before the registration is gone": ("scratch._unregister = end", "worktrees.at('main^')"),
    "before the lock is gone": ("Path.unlink = end", "worktrees.at('main^')"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_next_run_removes_what_a_killed_one_has_left(project, temporary, moment):
    (project / ".gitattributes").write_text("train.py filter=kills\n")
    commit(project)
    git(project, "config", "filter.kills.smudge", "test -z $OWNER || kill -KILL $OWNER; cat")
    before, inside = MOMENTS[moment]
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(before=before, inside=inside), project],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == -9, done.stderr
    assert [*temporary.iterdir()]
    with Worktrees(project) as worktrees:
        assert [*temporary.iterdir()] == [worktrees._scratch]
        assert len(git(project, "worktree", "list").splitlines()) == 1
    assert is_clean(project, temporary)


def register(project, name, worktree, age=0.0, locked="initializing"):
    """As git has done it by the time that it is killed."""
    files = project / ".git" / "worktrees" / name
    files.mkdir(parents=True)
    (files / "locked").write_text(locked)
    if worktree is not None:
        (files / "gitdir").write_text(f"{worktree}/.git\n")
    for path in (*files.iterdir(), files):
        os.utime(path, (time.time() - age,) * 2)
    return files


def test_git_was_killed_before_it_had_made_the_folder(project, temporary):
    folder = temporary / f"{scratch.PREFIX}abc"
    folder.mkdir()
    (folder / "lock").write_text(str(project / ".git"))
    files = register(project, "project", folder / "1a2b3c4-x" / "project")
    scratch.remove_left(project / ".git")
    assert not files.exists()
    assert is_clean(project, temporary)


def test_what_is_left_of_another_repository(project, temporary, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    folder = temporary / f"{scratch.PREFIX}abc"
    (folder / "1a2b3c4-x" / "project").mkdir(parents=True)
    (folder / "lock").write_text(str(project / ".git"))
    register(project, "project", folder / "1a2b3c4-x" / "project")
    scratch.remove_left(other / ".git")
    assert is_clean(project, temporary)


def test_what_is_left_in_another_folder_for_temporary_ones(project, temporary, tmp_path, monkeypatch):
    folder = temporary / f"{scratch.PREFIX}abc"
    (folder / "1a2b3c4-x" / "project").mkdir(parents=True)
    (folder / "lock").write_text(str(project / ".git"))
    register(project, "project", folder / "1a2b3c4-x" / "project")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scratch.remove_left(project / ".git")
    assert is_clean(project, temporary)


def test_a_git_that_outlives_its_run_is_waited_for(project, temporary, monkeypatch):
    """As it fails it removes the worktree that has its name, be it the next run's."""
    monkeypatch.setattr(scratch, "_PATIENCE", 0)
    folder = temporary / f"{scratch.PREFIX}abc"
    folder.mkdir()
    (folder / "lock").write_text(str(project / ".git"))
    files = register(project, "project", folder / "1a2b3c4-x" / "project")
    with scratch.busy(folder) as held:
        its = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[held])
    with its:
        scratch.remove_left(project / ".git")
        assert files.exists()
        its.stdin.close()
    scratch.remove_left(project / ".git")
    assert is_clean(project, temporary)


@pytest.mark.parametrize(("age", "stays"), [(3600, True), (100000, False)])
def test_a_folder_that_is_not_here_may_be_that_of_a_run_in_a_container(project, tmp_path, temporary, age, stays):
    files = register(project, "project", tmp_path / "elsewhere" / f"{scratch.PREFIX}abc" / "1a2b3c4-x" / "project", age)
    scratch.remove_left(project / ".git")
    assert files.exists() is stays


@pytest.mark.parametrize(("age", "stays"), [(1, True), (100, False)])
def test_a_registration_without_a_place(project, temporary, age, stays):
    files = register(project, "project", None, age)
    scratch.remove_left(project / ".git")
    assert files.exists() is stays


def test_the_users_own_worktrees_stay(project, temporary, tmp_path):
    git(project, "worktree", "add", "--quiet", "-b", "mine", str(temporary / "mine"))
    unmounted = register(project, "unmounted", tmp_path / "gone", age=1e6, locked="a disk")
    scratch.remove_left(project / ".git")
    assert unmounted.exists()
    assert git(temporary / "mine", "status", "--porcelain") == ""


def test_what_others_have_put_there_stays(project, temporary, tmp_path, monkeypatch):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "kept").touch()
    (temporary / f"{scratch.PREFIX}link").symlink_to(tmp_path / "target")
    scratch.remove_left(project / ".git")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["kept"]
    theirs = temporary / f"{scratch.PREFIX}abc"
    theirs.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1)
    scratch.remove_left(project / ".git")
    monkeypatch.undo()
    assert theirs.exists()


def test_a_folder_that_another_run_takes_for_one_that_was_left(project, temporary, monkeypatch):
    """Between its making and its lock it has no owner."""
    make, made = tempfile.mkdtemp, []

    def and_another_run_begins(**how):
        made.append(make(**how))
        if len(made) == 1:
            scratch.remove_left(project / ".git")
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", and_another_run_begins)
    with scratch.scratch(project / ".git") as folder:
        assert [str(folder)] == made[1:]
        assert folder.exists()


def test_registrations_may_be_relative(project, temporary):
    files = register(project, "project", None)
    (files / "gitdir").write_text("../../../../beside/.git\n")  # worktree.useRelativePaths
    assert [each.worktree for each in scratch.registrations(project / ".git")] == [project.parent / "beside"]


@pytest.fixture
def nobody():
    """No permission is waived, as for root; gives a folder of the user's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(os.getuid())


def test_permissions_do_not_stop_a_deletion(nobody):
    data = nobody / "data"
    data.mkdir()
    (data / "kept").touch()
    data.chmod(0o555)
    inside = nobody / "folder" / "inside"
    inside.mkdir(parents=True)
    (inside / "file").touch()
    (nobody / "folder" / "link").symlink_to(data)
    inside.chmod(0o555)
    (nobody / "folder").chmod(0o555)
    scratch.delete(nobody / "folder")
    assert not (nobody / "folder").exists()
    assert (data / "kept").exists()
    assert data.stat().st_mode & 0o777 == 0o555


def test_a_link_is_deleted_and_not_what_it_points_to(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    scratch.delete(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_still_writes_there_does_not_stop_a_deletion(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    (folder / "inside").mkdir(parents=True)
    remove, times = os.rmdir, []

    def and_a_file_is_written(path, **how):
        times.append(path)
        if len(times) < 3:
            (folder / "inside" / f"{len(times)}").touch()
        remove(path, **how)

    monkeypatch.setattr(os, "rmdir", and_a_file_is_written)
    scratch.delete(folder)
    assert not folder.exists()
    assert len(times) > 3


def test_what_cannot_be_removed_is_warned_of(project, temporary, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    with (
        monkeypatch.context() as patch,
        pytest.warns(RuntimeWarning, match=r"cannot be removed \(.*Permission denied"),
        scratch.scratch(project / ".git") as folder,
    ):
        (folder / "file").touch()
        patch.setattr(scratch, "delete", refuse)
    scratch.remove_left(project / ".git")
    assert is_clean(project, temporary)
