"""Revisions of the repository around a folder, each checked out as a git worktree in a temporary folder."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from loop_bench.arms.scratch import busy, remove_left, scratch
from loop_bench.arms.submodules import fill
from loop_bench.arms.untracked import Untracked, untracked
from loop_bench.errors import UsageError
from loop_bench.machine.revision import GitError, git

_NAMED = 5
"""Number of untracked paths that a note names; the rest are counted."""


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A revision in a folder of its own."""

    folder: Path  # its root
    revision: str  # as the user named it
    commit: str
    notes: tuple[str, ...]  # sentences on what it lacks compared with the working tree


class Worktrees:
    """Checks out revisions while it is entered; on entry it removes what killed runs have left.

    Args:
        folder: any folder in the repository's working tree.
        links: untracked paths, such as large data, that each checkout gets as symbolic links to the working tree.
            Relative to the current folder or to the working tree's root.
        results: folder of the run's results, which no checkout needs and no note names; None: no such folder.
    """

    def __init__(self, folder: Path, links: Sequence[str | Path] = (), results: Path | None = None) -> None:
        self.root = folder
        """Root of the working tree; found on entry."""
        self._folder, self._wanted, self._results = folder, links, results
        self._checkouts: dict[str, Path] = {}
        self._notes: dict[str, list[str]] = {}

    def __enter__(self) -> Self:
        """Finds the repository.

        Raises:
            UsageError: the folder is in no repository, a path to link is not in the working tree, or no temporary
                folder can be made.
        """
        self.root, self._repository = _repository(self._folder)
        self._links = sorted({_inside(self.root, Path(link)) for link in self._wanted})
        remove_left(self._repository)
        with contextlib.ExitStack() as stack:
            self._scratch = stack.enter_context(scratch(self._repository))
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._cleanup.close()

    def at(self, revision: str) -> Checkout:
        """Checks out a revision; all names of a commit share one folder.

        Args:
            revision: any name of a commit that git knows, see gitrevisions(7).

        Raises:
            UsageError: the revision does not exist or cannot be checked out, a submodule's commit is missing, or a
                link would hide a path that the revision has.
        """
        commit = self._commit(revision)
        if commit not in self._checkouts:
            self._check_out(revision, commit)
        folder = self._checkouts[commit]
        return Checkout(folder, revision, commit, self._notes_on(folder, revision, commit))

    def _commit(self, revision: str) -> str:
        with contextlib.suppress(GitError):
            return git(self.root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        raise UsageError(f"revision {revision!r}: is not in the repository {self.root}; {self._advice(revision)}")

    def _advice(self, revision: str) -> str:
        """Advice on how to obtain a revision that the repository lacks."""
        shallow = git(self.root, "rev-parse", "--is-shallow-repository") == "true"
        remote, _, branch = revision.partition("/")
        if branch and remote in git(self.root, "remote").splitlines():
            depth = " --depth=1" if shallow else ""
            # Without the destination ref, a clone of a single branch would not keep the fetched one.
            fetch = f"git fetch{depth} {remote} {branch}:refs/remotes/{remote}/{branch}"
            return f"{fetch} brings it, if {remote} has it"
        tracked = git(self.root, "for-each-ref", "--format=%(refname:short)", f"refs/remotes/*/{revision}").splitlines()
        if tracked:
            return f"did you mean {' or '.join(tracked)}?"
        if shallow:
            return "the clone is shallow: git fetch --unshallow brings the rest (actions/checkout: fetch-depth: 0)"
        return "git branch --all and git tag list the names that are there"

    def _check_out(self, revision: str, commit: str) -> None:
        # A new folder each time: an earlier checkout may have failed half-way.
        outer = Path(tempfile.mkdtemp(dir=self._scratch, prefix=f"{commit[:7]}-"))
        folder = outer / (self.root.name or "repository")
        try:
            with busy(self._scratch) as lock:
                git(self.root, "worktree", "add", "--detach", "--quiet", str(folder), commit, held=lock)
                self._notes[commit] = fill(self.root, folder, commit, revision, outer / "index", lock)
        except GitError as error:
            free = shutil.disk_usage(outer).free / 2**30
            raise UsageError(
                f"revision {revision!r}: cannot be checked out in {self._scratch.parent}, where {free:.1f} GiB are "
                f"free: {error}"
            ) from None
        for link in self._links:
            _link(self.root / link, folder, link, revision)
        self._checkouts[commit] = folder

    def _notes_on(self, folder: Path, revision: str, commit: str) -> tuple[str, ...]:
        local = self._untracked
        notes = list(self._notes[commit])
        notes += [
            f"submodule {path}: its changes are in the working tree only, not in {revision}"
            for path in local.submodules
        ]
        missing = [path for path in local.paths if not os.path.lexists(folder / path)]
        if missing:
            named, more = ", ".join(missing[:_NAMED]), len(missing) - _NAMED
            named += f" and {more} more" if more > 0 else ""
            notes.append(f"not in {revision}, because git does not track it: {named}; --link PATH puts one there")
        return tuple(notes)

    @functools.cached_property
    def _untracked(self) -> Untracked:
        try:
            return untracked(self.root, self._results)
        except GitError as error:
            raise UsageError(f"working tree {self.root}: its untracked files cannot be listed ({error})") from None


def _repository(folder: Path) -> tuple[Path, Path]:
    """Finds the root of the working tree around a folder, and the git folder that all its worktrees share."""
    try:
        root = Path(git(folder, "rev-parse", "--show-toplevel"))
        return root, (root / git(root, "rev-parse", "--git-common-dir")).resolve()
    except GitError as error:
        raise UsageError(f"folder {folder}: has no revisions that can be checked out ({error})") from None


def _inside(root: Path, path: Path) -> Path:
    """Returns a path to link, relative to the root.

    Raises:
        UsageError: the path does not exist, or is not in the working tree.
    """
    candidates = (Path.cwd() / path, root / path)
    existing = next((candidate for candidate in candidates if os.path.lexists(candidate)), None)
    if existing is None:
        folders = " nor in ".join(map(str, dict.fromkeys((Path.cwd(), root))))
        raise UsageError(f"link {path}: is not in {folders}")
    # The data or the current folder may be a link itself: only `..` and links in the folders above are resolved.
    for candidate in (Path(os.path.normpath(existing)), existing.parent.resolve() / existing.name):
        if (
            candidate.is_relative_to(root)
            and candidate != root
            and {".git", ".."}.isdisjoint(candidate.relative_to(root).parts)
        ):
            return candidate.relative_to(root)
    raise UsageError(f"link {path}: lies outside the working tree {root}; only paths inside it can be linked")


def _link(target: Path, checkout: Path, path: Path, revision: str) -> None:
    """Links a path of a checkout to the same path of the working tree.

    Raises:
        UsageError: the revision has files of its own there.
    """
    place = checkout / path
    if place.exists() and place.samefile(target):
        return  # inside a folder that is already linked
    try:
        if os.path.lexists(place) or not place.parent.resolve().is_relative_to(checkout):
            raise FileExistsError
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            f"link {path}: {revision} has files of its own there, which it would hide; link only what git does "
            "not track"
        ) from None
    place.symlink_to(target)
