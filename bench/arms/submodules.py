"""Submodules of a revision, filled from the repositories that the working tree has of them; nothing is fetched."""

from __future__ import annotations

import shlex
from pathlib import Path

from loop_bench.errors import UsageError
from loop_bench.machine.revision import GitError, git

_SUBMODULE = "160000"
"""The mode of what in a commit is a commit of another repository (gitdatamodel(7))."""


def fill(
    root: Path, checkout: Path, commit: str, revision: str, index: Path, held: int, within: Path = Path()
) -> list[str]:
    """Puts into each submodule's folder, which git leaves empty, what the submodule's commit has; theirs as well.

    Args:
        root: of the working tree, where the submodules' repositories are.
        checkout: the folder with the empty folders.
        commit: of which it is.
        revision: what the user has called it.
        index: a file that is not there, for git to write to.
        held: an open file that git keeps open while it writes there.
        within: the submodule in which it is a commit, relative to the root; the repository itself without one.

    Returns:
        Sentences about those that stay empty.

    Raises:
        UsageError: a submodule's commit is not there.
        GitError: it cannot be checked out.
    """
    notes = []
    for path, its in submodules(root / within, commit):
        name = within / path
        there = root / name
        if not (there / ".git").exists():
            notes.append(f"submodule {name}: is empty in {revision}, because it is not initialised in the working tree")
            continue
        try:
            git(there, "cat-file", "-e", f"{its}^{{commit}}")
        except GitError:
            raise UsageError(
                f"submodule {name}: commit {its[:7]}, which {revision} has of it, is not there; "
                f"git -C {shlex.quote(str(there))} fetch origin {its} brings it"
            ) from None
        # As a checkout does it, filters and links included; the submodule's own index and HEAD stay as they are.
        place = f"--work-tree={checkout / name}"
        git(there, place, "read-tree", "--reset", "-u", its, variables={"GIT_INDEX_FILE": str(index)}, held=held)
        index.unlink()
        notes += fill(root, checkout, its, revision, index, held, name)
    return notes


def submodules(repository: Path, commit: str) -> list[tuple[str, str]]:
    """The submodules in a commit: path, and the submodule's commit."""
    found = []
    for line in git(repository, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        about, _, path = line.partition("\t")
        if about.startswith(_SUBMODULE):
            found.append((path, about.split()[2]))
    return found
