"""The memory allocator of this process: the C library's malloc, or a replacement for it."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from loop_bench.machine.processor import ALLOCATOR_SETTINGS

_MAPS = Path("/proc/self/maps")
_REPLACEMENT = re.compile(r"lib(jemalloc|tcmalloc|mimalloc)[\w.-]*\.so")


@dataclasses.dataclass(frozen=True)
class Allocator:
    """A memory allocator and its settings."""

    name: str | None  # such as `glibc 2.36` or `jemalloc`; None: not known
    settings: Mapping[str, str]  # the environment variables that choose or configure it
    not_loaded: tuple[str, ...] = ()  # libraries in LD_PRELOAD that were not loaded


def allocator(maps: Path = _MAPS, environ: Mapping[str, str] = os.environ) -> Allocator:
    """The allocator of this process, and of processes that it starts with the same environment.

    Args:
        maps: file that lists what is mapped into the process's memory (man 5 proc_pid_maps).
        environ: environment variables of the process.
    """
    try:
        mapped = maps.read_text(encoding="utf-8", errors="replace")
    except OSError:
        mapped = ""
    match = _REPLACEMENT.search(mapped)
    named = re.split(r"[ :]+", environ.get("LD_PRELOAD", "").strip())
    return Allocator(
        name=match[1] if match else " ".join(platform.libc_ver()).strip() or None,
        settings={name: value for name, value in sorted(environ.items()) if name.startswith(ALLOCATOR_SETTINGS)},
        not_loaded=tuple(library for library in named if library and mapped and Path(library).name not in mapped),
    )
