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
"""Paths that a note names; of the others it says how many there are."""


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A revision in a folder of its own."""

    folder: Path  # its root
    revision: str  # as it was asked for
    commit: str
    notes: tuple[str, ...]  # what it may lack that the working tree has, a sentence each


class Worktrees:
    """Checks revisions out for as long as it is entered; on entering, removes what killed runs have left.

    Args:
        folder: in the working tree of the repository.
        links: paths that each checkout has from the working tree, by a link: large data that git does not track.
            Relative to the current folder or to the working tree's root.
        results: a folder whose files no checkout needs, and no note names; None: there is none.
    """

    def __init__(self, folder: Path, links: Sequence[str | Path] = (), results: Path | None = None) -> None:
        self.root = folder
        """The working tree's root, once it is entered."""
        self._folder, self._wanted, self._results = folder, links, results
        self._checkouts: dict[str, Path] = {}
        self._notes: dict[str, list[str]] = {}

    def __enter__(self) -> Self:
        """Finds the repository.

        Raises:
            UsageError: the folder is in none, something that is to be linked is not in it, or there can be no
                temporary folder.
        """
        self.root, self._repository = _repository(self._folder)
        self._links = sorted({_inside(self.root, Path(link)) for link in self._wanted})
        remove_left(self._repository)
        with contextlib.ExitStack() as stack:
            self._scratch = stack.enter_context(scratch(self._repository))
            self._leaving = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._leaving.close()

    def at(self, revision: str) -> Checkout:
        """A revision, checked out; one folder for all names of a commit.

        Args:
            revision: any name of a commit that git knows: gitrevisions(7).

        Raises:
            UsageError: there is no such revision, it cannot be checked out, a submodule's commit is not there, or a
                link would hide what the revision has itself.
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
        """What brings a revision that is not here."""
        shallow = git(self.root, "rev-parse", "--is-shallow-repository") == "true"
        remote, _, branch = revision.partition("/")
        if branch and remote in git(self.root, "remote").splitlines():
            depth = " --depth=1" if shallow else ""
            # A clone of one branch would not keep another one without the second name.
            fetch = f"git fetch{depth} {remote} {branch}:refs/remotes/{remote}/{branch}"
            return f"{fetch} brings it, if {remote} has it"
        tracked = git(self.root, "for-each-ref", "--format=%(refname:short)", f"refs/remotes/*/{revision}").splitlines()
        if tracked:
            return f"there is {', '.join(tracked)}"
        if shallow:
            return "the clone is shallow: git fetch --unshallow brings the rest (actions/checkout: fetch-depth: 0)"
        return "git branch --all and git tag list what is"

    def _check_out(self, revision: str, commit: str) -> None:
        # A folder that has been tried before may be there in part.
        outer = Path(tempfile.mkdtemp(dir=self._scratch, prefix=f"{commit[:7]}-"))
        folder = outer / (self.root.name or "repository")
        try:
            with busy(self._scratch) as held:
                git(self.root, "worktree", "add", "--detach", "--quiet", str(folder), commit, held=held)
                self._notes[commit] = fill(self.root, folder, commit, revision, outer / "index", held)
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
        only = self._untracked
        notes = list(self._notes[commit])
        notes += [
            f"submodule {path}: its changes are in the working tree only, not in {revision}" for path in only.submodules
        ]
        lacking = [path for path in only.paths if not os.path.lexists(folder / path)]
        if lacking:
            named, more = ", ".join(lacking[:_NAMED]), len(lacking) - _NAMED
            named += f" and {more} more" if more > 0 else ""
            notes.append(f"not in {revision}, because git does not track it: {named}; --link PATH puts one there")
        return tuple(notes)

    @functools.cached_property
    def _untracked(self) -> Untracked:
        try:
            return untracked(self.root, self._results)
        except GitError as error:
            raise UsageError(f"working tree {self.root}: git cannot tell what is in it ({error})") from None


def _repository(folder: Path) -> tuple[Path, Path]:
    """The root of the working tree around a folder, and git's folder that all worktrees of the repository share."""
    try:
        root = Path(git(folder, "rev-parse", "--show-toplevel"))
        return root, (root / git(root, "rev-parse", "--git-common-dir")).resolve()
    except GitError as error:
        raise UsageError(f"folder {folder}: has no revisions that can be checked out ({error})") from None


def _inside(root: Path, path: Path) -> Path:
    """A path that is to be linked, relative to the root.

    Raises:
        UsageError: it is not there, or not in the working tree.
    """
    found = next((each for each in (Path.cwd() / path, root / path) if os.path.lexists(each)), None)
    if found is None:
        folders = " nor in ".join(map(str, dict.fromkeys((Path.cwd(), root))))
        raise UsageError(f"link {path}: is not in {folders}")
    # Data may be a link itself, and the current folder too: `..` and links in what is above it alone are followed.
    for each in (Path(os.path.normpath(found)), found.parent.resolve() / found.name):
        if each.is_relative_to(root) and each != root and {".git", ".."}.isdisjoint(each.relative_to(root).parts):
            return each.relative_to(root)
    raise UsageError(f"link {path}: lies outside the working tree {root}, where each revision has a place of its own")


def _link(there: Path, checkout: Path, path: Path, revision: str) -> None:
    """Links a path of a checkout to that of the working tree.

    Raises:
        UsageError: the revision has something there itself.
    """
    place = checkout / path
    if place.exists() and place.samefile(there):
        return  # in a folder that is linked
    try:
        if os.path.lexists(place) or not place.parent.resolve().is_relative_to(checkout):
            raise FileExistsError
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            f"link {path}: {revision} has files of its own there, which it would hide; link what git does not track"
        ) from None
    place.symlink_to(there)
