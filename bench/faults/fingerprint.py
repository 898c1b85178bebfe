"""The code and the data behind trials: what must not have changed when an experiment is gone on with."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path


def code(factories: Iterable[str]) -> dict[str, str]:
    """A hash of the Python files around each factory: its package's, or those beside a module that is in none.

    What these import from elsewhere is not looked at, but for the versions of packages, which a record has anyway.

    Args:
        factories: as `module:factory`.

    Returns:
        Hexadecimal digests by the name of the package or module.
    """
    if (here := str(Path.cwd())) not in sys.path:  # as `bench.loop.load` looks for them
        sys.path.insert(0, here)
    roots = sorted({factory.partition(":")[0].partition(".")[0] for factory in factories})
    return {root: _digest(_files(root)) for root in roots}


def of_files(paths: Iterable[Path]) -> str:
    """A hash of what is in some files."""
    return _digest(sorted(paths))


def _files(root: str) -> list[Path]:
    try:
        found = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return []
    if found is None:
        return []
    if found.submodule_search_locations:
        return sorted(path for folder in found.submodule_search_locations for path in Path(folder).rglob("*.py"))
    return sorted(Path(found.origin).parent.glob("*.py")) if found.has_location and found.origin else []


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
