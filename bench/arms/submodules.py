"""Fills the submodules of a checked-out revision from the repositories in the working tree; nothing is fetched."""

from __future__ import annotations

import shlex
from pathlib import Path

from loop_bench.errors import UsageError
from loop_bench.machine.revision import GitError, git

_SUBMODULE = "160000"
"""Mode of a tree entry that is a commit of another repository, see gitdatamodel(7)."""


def fill(
    root: Path, checkout: Path, commit: str, revision: str, index: Path, held: int, within: Path = Path()
) -> list[str]:
    """Checks out each submodule's commit into its folder, which git leaves empty, and nested submodules likewise.

    Args:
        root: of the working tree, which has the submodules' repositories.
        checkout: folder of the checked-out revision.
        commit: whose submodules are filled.
        revision: the user's name for the revision.
        index: path at which git may write a temporary index; no such file exists.
        held: an open file, such as a lock, that git keeps open while it runs.
        within: path of the submodule that the commit is of, relative to the root; empty for the repository itself.

    Returns:
        Sentences about submodules that stay empty.

    Raises:
        UsageError: a submodule's commit is missing.
        GitError: a commit cannot be checked out.
    """
    notes = []
    for path, submodule_commit in submodules(root / within, commit):
        name = within / path
        repository = root / name
        if not (repository / ".git").exists():
            notes.append(f"submodule {name}: is empty in {revision}, because it is not initialised in the working tree")
            continue
        try:
            git(repository, "cat-file", "-e", f"{submodule_commit}^{{commit}}")
        except GitError:
            raise UsageError(
                f"submodule {name}: its commit {submodule_commit[:7]} in {revision} is missing; "
                f"git -C {shlex.quote(str(repository))} fetch origin {submodule_commit} brings it"
            ) from None
        # Like a checkout, with filters and links; the submodule's own index and HEAD stay as they are.
        place = f"--work-tree={checkout / name}"
        variables = {"GIT_INDEX_FILE": str(index)}
        git(repository, place, "read-tree", "--reset", "-u", submodule_commit, variables=variables, held=held)
        index.unlink()
        notes += fill(root, checkout, submodule_commit, revision, index, held, name)
    return notes


def submodules(repository: Path, commit: str) -> list[tuple[str, str]]:
    """Lists the submodules of a commit: path, and the submodule's commit."""
    entries = []
    for line in git(repository, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        description, _, path = line.partition("\t")
        if description.startswith(_SUBMODULE):
            entries.append((path, description.split()[2]))
    return entries
