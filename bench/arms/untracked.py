"""What a working tree has that no commit has: files that git does not track, and changes in submodules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from loop_bench.machine.revision import git

_MADE = {
    *("__pycache__", ".eggs", ".git", ".hypothesis", ".idea", ".ipynb_checkpoints", ".mypy_cache", ".nox"),
    *(".pytest_cache", ".ruff_cache", ".tox", ".vscode", "build", "dist", "node_modules", ".DS_Store"),
}
_MADE_SUFFIXES = (".egg-info", ".pyc")
"""Names of what tools make and keep beside the code, which no loop needs."""


class Untracked(NamedTuple):
    """What is in a working tree only."""

    paths: list[str]  # of files and whole folders; relative to the root, folders end with a slash
    submodules: list[str]  # that are changed


def untracked(working_tree: Path, results: Path | None = None) -> Untracked:
    """What git does not track in a working tree, ignored or not, without caches, builds and Python environments.

    Args:
        working_tree: its root.
        results: a folder that does not count either, unless the working tree is in it.
    """
    apart = results.resolve() if results else None
    if apart and working_tree.resolve().is_relative_to(apart):
        apart = None
    status = git(
        working_tree,
        *("status", "--porcelain=v2", "-z", "--no-renames"),
        *("--untracked-files=normal", "--ignored=traditional", "--ignore-submodules=none"),
    )
    paths, changed = [], []
    for entry in status.split("\0"):  # "Porcelain Format Version 2" in git-status(1)
        kind, _, rest = entry.partition(" ")
        if kind in ("?", "!") and _is_content(working_tree, rest, apart):
            paths.append(rest)
        elif kind in ("1", "u") and rest.split(" ")[1] != "N...":  # "N..." stands for no submodule
            changed.append(rest.split(" ", 7 if kind == "1" else 9)[-1])
    return Untracked(sorted(paths), sorted(changed))


def _is_content(working_tree: Path, path: str, apart: Path | None) -> bool:
    """Whether there is more than what tools have made at a path, outside of a folder."""
    if any(_is_made(part) for part in Path(path).parts):
        return False
    place = working_tree.resolve() / path
    if apart and place.is_relative_to(apart):
        return False
    return not path.endswith("/") or _has_content(place, apart)


def _has_content(folder: Path, apart: Path | None) -> bool:
    for around, names, files in os.walk(folder):
        if Path(around) == apart or "pyvenv.cfg" in files or "conda-meta" in names:  # the root of a Python environment
            names.clear()
            continue
        names[:] = [name for name in names if not _is_made(name)]
        if any(not _is_made(name) for name in files):
            return True
    return False


def _is_made(name: str) -> bool:
    return name in _MADE or name.endswith(_MADE_SUFFIXES)
