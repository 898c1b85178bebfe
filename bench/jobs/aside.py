"""Comparing this package with another revision of itself, which is imported beside the one that compares."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence

_OURS = __name__.partition(".")[0]


def set_aside(factory: str, paths: Sequence[str]) -> None:
    """Forgets this package's modules if the factory is in another copy of it, so that the copy can be imported.

    Modules that are imported already keep working through their own references. They must not import anything of this
    package later: it would be of the other revision.

    Args:
        factory: as module:factory.
        paths: folders in which the user's modules are looked up.
    """
    package = factory.partition(":")[0].partition(".")[0]
    if package == _OURS and importlib.machinery.PathFinder.find_spec(_OURS, list(paths)):
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{_OURS}.")]:
            del sys.modules[name]
