"""Our own package as what is compared: another revision of it, beside the one that compares."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence

_OURS = __name__.partition(".")[0]


def set_aside(factory: str, paths: Sequence[str]) -> None:
    """Has our own package be imported anew, from where the user's modules are, if a factory there is in it.

    What is imported already stays at work under its own references, and must import nothing of ours later: it would
    be of the other revision.

    Args:
        factory: as module:factory.
        paths: folders in which the user's modules are looked for.
    """
    package = factory.partition(":")[0].partition(".")[0]
    if package == _OURS and importlib.machinery.PathFinder.find_spec(_OURS, list(paths)):
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{_OURS}.")]:
            del sys.modules[name]
