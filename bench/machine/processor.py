"""The kind of CPU: CPUs with the same name may differ in how much faster one loop is than another on them."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

VECTORS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "neon", "asimd", "sve")
"""Vector extensions that decide how a matrix product is computed, as Linux names them."""

ALLOCATOR_SETTINGS = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_")
"""Prefixes of the environment variables that choose or configure a process's allocator."""


_CPUINFO = Path("/proc/cpuinfo")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def processor() -> dict[str, Any]:
    """The CPU, and how its memory is allocated, as plain values; None for what the system does not report.

    Returns:
        `name`: as its maker, or its hypervisor, writes it. `vendor`, `family`, `model`: as CPUID has them (Intel 64
        and IA-32 Architectures Software Developer's Manual, CPUID; AMD64 Architecture Programmer's Manual, volume 3).
        `vectors`: those of `VECTORS` that it has. `mhz`: nominal, if the name has it. `virtual`: whether a hypervisor
        shows itself. `page_bytes`: of a page of memory. `huge_pages`: when the kernel uses larger ones.
        `allocator`: the C library. `allocator_settings`: the environment variables that set it.
    """
    info = _reported()
    flags = info.get("flags", [])
    name = info.get("brand_raw", platform.processor())
    # Unless the name has it, cpuinfo reports the current clock, but values compared between runs must not change.
    hertz = info.get("hz_advertised", (0,))[0] if "Hz" in name else 0
    library = " ".join(platform.libc_ver())
    return {
        "name": name,
        "vendor": info.get("vendor_id_raw"),
        "family": info.get("family"),
        "model": info.get("model"),
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


def _reported() -> dict[str, Any]:
    """The values of py-cpuinfo2 or, where it is not installed, as many of them as Linux reports."""
    try:
        import cpuinfo
    except ImportError:
        return _from_linux()
    info: dict[str, Any] = cpuinfo.get_cpu_info()
    return info


def _from_linux() -> dict[str, Any]:
    """The first processor in /proc/cpuinfo, with cpuinfo's names; empty on another system."""
    try:
        first = _CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return {}
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    names = {"brand_raw": "model name", "vendor_id_raw": "vendor_id", "family": "cpu family", "model": "model"}
    info: dict[str, Any] = {name: fields[linux] for name, linux in names.items() if linux in fields}
    info.update({name: int(info[name]) for name in ("family", "model") if info.get(name, "").isdigit()})
    info["flags"] = fields.get("flags", fields.get("Features", "")).split()
    return info


def words(recorded: dict[str, Any]) -> str:
    """What distinguishes a CPU from others of its name, such as `family 25, model 1, AVX2, virtual`; may be empty."""
    parts = [f"{key} {recorded[key]}" for key in ("family", "model") if recorded.get(key) is not None]
    widest = [each for each in recorded.get("vectors", ()) if each != "fma"]
    parts += [widest[-1].upper()] if widest else []
    return ", ".join([*parts, *(["virtual"] if recorded.get("virtual") else [])])


def _huge_pages() -> str | None:
    """The choice in brackets in the kernel's setting: always, madvise or never."""
    try:
        return _HUGE_PAGES.read_text(encoding="ascii").split("[")[1].split("]")[0]
    except (OSError, IndexError):
        return None
