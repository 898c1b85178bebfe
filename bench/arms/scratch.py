"""The temporary folder of a run's git worktrees, and how one run removes what another has left that was killed.

Its owner holds a lock on a file in it for its life. Whoever can lock the file knows that the owner is gone, however it
went, and is the owner from then on: at no moment can a folder that is in use be taken for one that was left. The git of
an owner that was killed goes on, and would take the next worktree of the same name for its own when it fails; so it has
a lock too, for which the next owner waits.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from loop_bench.errors import UsageError

PREFIX = "loop-bench-worktrees-"
"""How the names of these folders begin, in whatever folder is the one for temporary ones."""

LOCK = "lock"
"""The file in them that is locked; it says in which repository their worktrees are registered."""

BUSY = "busy"
"""The file in them that is locked while git works there."""

_INCOMPLETE = 60.0
"""Seconds after which a registration without a place is taken for that of a git that was killed; it takes none."""

_ELSEWHERE = 86400.0
"""Seconds after which a run counts as over whose folder is not here: it may share the repository from a container."""

_PATIENCE = 10.0
"""Seconds for the processes of a killed run to end: git, and those that still write into a folder that is deleted."""


class Registration(NamedTuple):
    """What a repository knows of a worktree, see `worktrees/` in gitrepository-layout(5)."""

    files: Path  # git's own folder of it
    worktree: Path | None  # None: git was killed before it had written it down
    age: float  # seconds


@contextlib.contextmanager
def scratch(repository: Path) -> Iterator[Path]:
    """A temporary folder for worktrees of a repository; with them, it is gone afterwards.

    Args:
        repository: git's folder, that all worktrees of the repository have in common.

    Raises:
        UsageError: there can be no such folder.
    """
    try:
        folder, lock = _owned()
    except OSError as error:
        raise UsageError(
            f"temporary folder {error.filename or ''}: cannot be used ({error.strerror}); TMPDIR can name another"
        ) from None
    try:
        os.write(lock, os.fsencode(repository))
        yield folder
    finally:
        try:
            _discard(folder, repository)
        finally:
            os.close(lock)


def remove_left(repository: Path) -> None:
    """Removes the worktrees of runs that were killed: all in the folder for temporary ones, and in a repository.

    Worktrees that the user has made, and those of runs that are alive, are left alone.

    Args:
        repository: git's folder, that all worktrees of the repository have in common.
    """
    folders = {*Path(tempfile.gettempdir()).resolve().glob(f"{PREFIX}*")}
    folders |= {folder for each in registrations(repository) if (folder := _scratch_of(each))}
    for folder in sorted(folders):
        lock = _take(folder) if _is_own(folder) else None
        if lock is not None:
            try:
                written = os.fsdecode(os.read(lock, 4096))
                _discard(folder, Path(written) if written else None)
            finally:
                os.close(lock)
    for each in registrations(repository):
        own = _scratch_of(each)
        if (each.worktree is None and each.age > _INCOMPLETE) or (own and not own.exists() and each.age > _ELSEWHERE):
            _unregister(each)


@contextlib.contextmanager
def busy(folder: Path) -> Iterator[int]:
    """Holds the lock of a git that works in a folder of this kind; git is to hold it too, and may do so for longer."""
    lock = os.open(folder / BUSY, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock
    finally:
        os.close(lock)


def registrations(repository: Path) -> list[Registration]:
    """The worktrees of a repository, but for the first one, also those that git has registered halfway."""
    known = []
    for files in sorted((repository / "worktrees").glob("*")):
        try:
            pointer = os.fsdecode((files / "gitdir").read_bytes()).strip()  # to the worktree's .git
        except (FileNotFoundError, NotADirectoryError):
            pointer = ""
        try:
            age = time.time() - (files / "gitdir" if pointer else files).stat().st_mtime
        except FileNotFoundError:
            continue  # removed meanwhile
        # Relative to git's folder of it, if `worktree.useRelativePaths` is set.
        known.append(Registration(files, Path(os.path.normpath(files / pointer)).parent if pointer else None, age))
    return known


def _owned() -> tuple[Path, int]:
    """A new folder, and its lock."""
    while True:  # until then it has no owner, and another run may have removed it
        folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        lock = _take(folder)
        if lock is not None:
            return folder, lock


def _take(folder: Path) -> int | None:
    """The lock of a folder, from now on this process's; None if it is another's."""
    path = folder / LOCK
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):  # not one that another run has just removed
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _has_ended(folder: Path) -> bool:
    """Waits for the git that works in a folder; False if it takes too long."""
    until = time.monotonic() + _PATIENCE
    with busy(folder) as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
                time.sleep(0.02)


def _is_own(folder: Path) -> bool:
    """Whether a folder is this user's: what others have put into a shared temporary folder is not to be believed."""
    try:
        return not folder.is_symlink() and folder.is_dir() and folder.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _scratch_of(registration: Registration) -> Path | None:
    """The folder of our kind that a worktree lies in; None for the user's own."""
    if registration.worktree is None:
        return None
    return next((folder for folder in registration.worktree.parents if folder.name.startswith(PREFIX)), None)


def _discard(folder: Path, repository: Path | None) -> None:
    """Removes a locked folder; its lock last, so that whatever ends this, the next run goes on with it."""
    if not _has_ended(folder):
        return
    try:
        with contextlib.ExitStack() as each_of_them:  # one that cannot be removed does not stop the others
            for registration in registrations(repository) if repository else []:
                if registration.worktree and folder in registration.worktree.parents:
                    each_of_them.callback(_unregister, registration)
            for entry in folder.iterdir():
                if entry.name != LOCK:
                    each_of_them.callback(delete, entry)
        (folder / LOCK).unlink()
    except OSError as error:
        warnings.warn(
            f"temporary folder {folder}: cannot be removed ({error.filename}: {error.strerror})",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    with contextlib.suppress(OSError):  # another run has found it without a lock, and removes it
        folder.rmdir()


def _unregister(registration: Registration) -> None:
    """Does what `git worktree remove` does last, which it refuses to do for a registration that is incomplete."""
    delete(registration.files)
    with contextlib.suppress(OSError):
        registration.files.parent.rmdir()  # there are no others


def delete(path: Path) -> None:
    """Deletes a file or folder, whatever the permissions in it and also while something still writes there.

    What is linked from it stays as it is.

    Raises:
        OSError: it cannot be deleted.
    """
    until = time.monotonic() + _PATIENCE
    writable = False
    while True:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            return
        except PermissionError:
            if writable:
                raise
            _make_writable(path)
            writable = True
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _make_writable(path: Path) -> None:
    """Lets the folders in a folder be changed; links among them are left alone, and what they point to."""
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inside = Path(folder, name)
            if not inside.is_symlink():
                inside.chmod(0o700)
