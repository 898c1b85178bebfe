"""What kind of CPU this is: two may share a name and differ in how much faster one loop is than another on them."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

VECTORS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "neon", "asimd", "sve")
"""Vector extensions that decide how a matrix product is computed, as Linux names them."""

ALLOCATOR_SETTINGS = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_")
"""What the environment variables begin with that choose or set a process's allocator."""


_CPUINFO = Path("/proc/cpuinfo")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def processor() -> dict[str, Any]:
    """The CPU and how its memory is handed out, as plain values; None for what the system does not say.

    Returns:
        `name`: as the maker, or who virtualises it, writes it. `vendor`, `family`, `model`: as CPUID has them (Intel 64
        and IA-32 Architectures Software Developer's Manual, CPUID; AMD64 Architecture Programmer's Manual, volume 3).
        `vectors`: those of `VECTORS` that it has. `mhz`: nominal, if the name has it. `virtual`: whether a hypervisor
        shows itself. `page_bytes`: of a page of memory. `huge_pages`: when the kernel hands out larger ones.
        `allocator`: the C library. `allocator_settings`: the environment variables that set it.
    """
    found = _found()
    flags = found.get("flags", [])
    name = found.get("brand_raw", platform.processor())
    # Without it in the name, cpuinfo gives the clock of this moment, and what is compared from run to run must stay.
    hertz = found.get("hz_advertised", (0,))[0] if "Hz" in name else 0
    library = " ".join(platform.libc_ver())
    return {
        "name": name,
        "vendor": found.get("vendor_id_raw"),
        "family": found.get("family"),
        "model": found.get("model"),
        "vectors": [each for each in VECTORS if each in flags],
        "mhz": round(hertz / 1e6) or None,
        "virtual": "hypervisor" in flags if flags else None,
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "huge_pages": _huge_pages(),
        "allocator": library.strip() or None,
        "allocator_settings": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(ALLOCATOR_SETTINGS)
        },
    }


def _found() -> dict[str, Any]:
    """What py-cpuinfo2 says or, where it is not installed, as much of it as Linux does."""
    try:
        import cpuinfo
    except ImportError:
        return _as_linux_says()
    said: dict[str, Any] = cpuinfo.get_cpu_info()
    return said


def _as_linux_says() -> dict[str, Any]:
    """The first processor of /proc/cpuinfo, by cpuinfo's names; empty on another system."""
    try:
        first = _CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return {}
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    names = {"brand_raw": "model name", "vendor_id_raw": "vendor_id", "family": "cpu family", "model": "model"}
    found: dict[str, Any] = {name: said[linux] for name, linux in names.items() if linux in said}
    found.update({name: int(found[name]) for name in ("family", "model") if found.get(name, "").isdigit()})
    found["flags"] = said.get("flags", said.get("Features", "")).split()
    return found


def words(recorded: dict[str, Any]) -> str:
    """What tells a CPU from others of its name, as `family 25, model 1, AVX2, virtual`; empty if nothing is known."""
    said = [f"{key} {recorded[key]}" for key in ("family", "model") if recorded.get(key) is not None]
    widest = [each for each in recorded.get("vectors", ()) if each != "fma"]
    said += [widest[-1].upper()] if widest else []
    return ", ".join([*said, *(["virtual"] if recorded.get("virtual") else [])])


def _huge_pages() -> str | None:
    """What stands in brackets in the kernel's setting: always, madvise or never."""
    try:
        return _HUGE_PAGES.read_text(encoding="ascii").split("[")[1].split("]")[0]
    except (OSError, IndexError):
        return None
