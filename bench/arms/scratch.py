"""The temporary folder of a run's git worktrees, and the removal of those that killed runs have left.

The owner of a folder holds a lock on a file in it. A process that can take this lock knows that the owner is gone, and
becomes the owner; so a folder in use is never mistaken for one that was left. The git command of a killed owner keeps
running, and on failure it would remove the next worktree of the same name; so it holds a lock too, for which the next
owner waits.
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
"""Prefix of the names of these folders, in the system's temporary folder."""

LOCK = "lock"
"""Name of the locked file in a folder; the file names the repository in which the worktrees are registered."""

BUSY = "busy"
"""Name of the file in a folder that is locked while git works there."""

_INCOMPLETE = 60.0
"""Age in seconds from which a registration without a worktree's path counts as left by a killed git."""

_ELSEWHERE = 86400.0
"""Seconds after which a run counts as over if its folder is not found: it may run in a container."""

_PATIENCE = 10.0
"""Seconds to wait for processes of a killed run: git, and those that still write into a folder that is deleted."""


class Registration(NamedTuple):
    """A repository's entry for a worktree, see `worktrees/` in gitrepository-layout(5)."""

    files: Path  # git's own folder for the worktree
    worktree: Path | None  # None: git was killed before it wrote the path
    age: float  # seconds


@contextlib.contextmanager
def scratch(repository: Path) -> Iterator[Path]:
    """Makes a temporary folder for the worktrees of a repository, and removes both on leaving.

    Args:
        repository: git folder that all worktrees of the repository share.

    Raises:
        UsageError: no such folder can be made.
    """
    try:
        folder, lock = _owned()
    except OSError as error:
        raise UsageError(
            f"temporary folder {error.filename or ''}: cannot be used ({error.strerror}); set TMPDIR to another folder"
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
    """Removes the worktrees of killed runs, from the system's temporary folder and from a repository.

    Worktrees that the user has made, and those of live runs, are kept.

    Args:
        repository: git folder that all worktrees of the repository share.
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
    for registration in registrations(repository):
        own = _scratch_of(registration)
        is_incomplete = registration.worktree is None and registration.age > _INCOMPLETE
        if is_incomplete or (own and not own.exists() and registration.age > _ELSEWHERE):
            _unregister(registration)


@contextlib.contextmanager
def busy(folder: Path) -> Iterator[int]:
    """Holds the lock that says that git works in a folder; git inherits the lock, and may hold it for longer."""
    lock = os.open(folder / BUSY, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock
    finally:
        os.close(lock)


def registrations(repository: Path) -> list[Registration]:
    """The linked worktrees of a repository, including those that git has registered only in part."""
    entries = []
    for files in sorted((repository / "worktrees").glob("*")):
        try:
            pointer = os.fsdecode((files / "gitdir").read_bytes()).strip()  # to the worktree's .git
        except (FileNotFoundError, NotADirectoryError):
            pointer = ""
        try:
            age = time.time() - (files / "gitdir" if pointer else files).stat().st_mtime
        except FileNotFoundError:
            continue  # removed meanwhile
        # The path is relative to git's folder for the worktree if `worktree.useRelativePaths` is set.
        entries.append(Registration(files, Path(os.path.normpath(files / pointer)).parent if pointer else None, age))
    return entries


def _owned() -> tuple[Path, int]:
    """Makes a folder and locks it."""
    while True:  # another run may remove the folder before it is locked
        folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        lock = _take(folder)
        if lock is not None:
            return folder, lock


def _take(folder: Path) -> int | None:
    """Takes the lock of a folder; None if another process holds it."""
    path = folder / LOCK
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):  # False if another run has just removed the file
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _git_has_ended(folder: Path) -> bool:
    """Waits for git to finish in a folder; False if it takes too long."""
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
    """Whether a folder is this user's: those of other users in a shared temporary folder are not trusted."""
    try:
        return not folder.is_symlink() and folder.is_dir() and folder.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _scratch_of(registration: Registration) -> Path | None:
    """The temporary folder of a run that contains a worktree; None for a worktree of the user."""
    if registration.worktree is None:
        return None
    return next((folder for folder in registration.worktree.parents if folder.name.startswith(PREFIX)), None)


def _discard(folder: Path, repository: Path | None) -> None:
    """Removes a locked folder, its lock last, so that the next run can resume an interrupted removal."""
    if not _git_has_ended(folder):
        return
    try:
        with contextlib.ExitStack() as removals:  # a failed removal does not stop the others
            for registration in registrations(repository) if repository else []:
                if registration.worktree and folder in registration.worktree.parents:
                    removals.callback(_unregister, registration)
            for entry in folder.iterdir():
                if entry.name != LOCK:
                    removals.callback(delete, entry)
        (folder / LOCK).unlink()
    except OSError as error:
        warnings.warn(
            f"temporary folder {folder}: cannot be removed ({error.filename}: {error.strerror})",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    with contextlib.suppress(OSError):  # another run may be removing it
        folder.rmdir()


def _unregister(registration: Registration) -> None:
    """Does the last step of `git worktree remove`, which refuses incomplete registrations."""
    delete(registration.files)
    with contextlib.suppress(OSError):
        registration.files.parent.rmdir()  # only if it is empty


def delete(path: Path) -> None:
    """Deletes a file or folder, whatever its permissions, even while another process writes into it.

    The targets of symbolic links are kept.

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
    """Makes the folders in a folder writable, but not the targets of links."""
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inside = Path(folder, name)
            if not inside.is_symlink():
                inside.chmod(0o700)
