"""What hands out this process's memory: the C library's malloc, or one that stands in for it."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from loop_bench.machine.processor import ALLOCATOR_SETTINGS

_MAPS = Path("/proc/self/maps")
_STANDS_IN = re.compile(r"lib(jemalloc|tcmalloc|mimalloc)[\w.-]*\.so")


@dataclasses.dataclass(frozen=True)
class Allocator:
    """Who hands out memory, and how that is set."""

    name: str | None  # such as `glibc 2.36` or `jemalloc`; None: not known
    settings: Mapping[str, str]  # the environment variables that choose or set it
    not_loaded: tuple[str, ...] = ()  # libraries that LD_PRELOAD names in vain


def allocator(maps: Path = _MAPS, environ: Mapping[str, str] = os.environ) -> Allocator:
    """The allocator of this process, and of what it starts with the same environment.

    Args:
        maps: of the files in its memory (man 5 proc_pid_maps).
        environ: its environment variables.
    """
    try:
        mapped = maps.read_text(encoding="utf-8", errors="replace")
    except OSError:
        mapped = ""
    found = _STANDS_IN.search(mapped)
    named = re.split(r"[ :]+", environ.get("LD_PRELOAD", "").strip())
    return Allocator(
        name=found[1] if found else " ".join(platform.libc_ver()).strip() or None,
        settings={name: value for name, value in sorted(environ.items()) if name.startswith(ALLOCATOR_SETTINGS)},
        not_loaded=tuple(each for each in named if each and mapped and Path(each).name not in mapped),
    )
