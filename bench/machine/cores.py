"""The share of the CPU that a process gets: cores, quota, clock, and the use by others, as far as Linux reports it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

_ROOT = Path("/")
_GROUPS = Path("sys/fs/cgroup")
_CPUS = "sys/devices/system/cpu/cpu[0-9]*/cpufreq"


@dataclasses.dataclass(frozen=True)
class Cores:
    """Numbers of cores, of the machine and of this process; None where the system does not report it."""

    of_machine: int | None
    allowed: int | None  # by its affinity, from which TensorFlow chooses its number of threads
    quota: float | None  # CPUs' worth of time that its cgroup may use; None: no limit


def cores(root: Path = _ROOT) -> Cores:
    """The cores of this process; `root` is the folder that contains /proc and /sys."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return Cores(os.cpu_count(), allowed, quota(root))


def quota(root: Path = _ROOT) -> float | None:
    """The limit on CPU time of this process's cgroup, or of one around it, in CPUs' worth of time; None: no limit.

    Linux: Documentation/admin-guide/cgroup-v2.rst (cpu.max), and Documentation/scheduler/sched-bwc.rst for version 1.
    """
    limits = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if not controllers:
            limits += [_share(*_words(folder / "cpu.max")) for folder in _around(root / _GROUPS, path)]
        elif "cpu" in names:
            for folder in _around(root / _GROUPS / controllers, path):
                limits.append(_share(*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")))
    return min((limit for limit in limits if limit is not None), default=None)


def _around(mount: Path, path: str) -> list[Path]:
    """The folders of a cgroup and of those around it; in a container, only the mount itself may exist."""
    inner = mount / path.strip("/")
    return [folder for folder in (inner, *inner.parents) if folder == mount or mount in folder.parents]


def _share(limit: str = "max", period: str = "100000", *_: str) -> float | None:
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() and int(period) else None


def governors(root: Path = _ROOT) -> tuple[str, ...]:
    """The distinct governors that choose the cores' clock; empty where they are unknown, as in a virtual machine."""
    contents = (_words(folder / "scaling_governor") for folder in root.glob(_CPUS))
    return tuple(sorted({words[0] for words in contents if words}))


class Clock(NamedTuple):
    """The clock of the cores in MHz, averaged over them; None where it is unknown."""

    now: float | None
    highest: float | None


def clock(root: Path = _ROOT) -> Clock:
    """The current clock, and the highest one."""
    now = [int(word) / 1e3 for folder in root.glob(_CPUS) for word in _words(folder / "scaling_cur_freq")[:1]]
    highest = [int(word) / 1e3 for folder in root.glob(_CPUS) for word in _words(folder / "cpuinfo_max_freq")[:1]]
    if not now:
        lines = (line.partition(":") for line in _lines(root / "proc/cpuinfo"))
        now = [float(value) for name, _, value in lines if name.strip() == "cpu MHz"]
    return Clock(_mean(now), _mean(highest))


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


class Times(NamedTuple):
    """Time of all cores since the machine was started, in ticks (man 5 proc_stat)."""

    busy: int
    idle: int
    steal: int  # that a hypervisor gave to others while something here wanted to run


def times(root: Path = _ROOT) -> Times | None:
    """The times until now; None where the system does not report them."""
    for line in _lines(root / "proc/stat"):
        name, *counts = line.split()
        if name == "cpu" and len(counts) >= 8:
            user, nice, system, idle, waiting, interrupts, softly, steal = map(int, counts[:8])
            return Times(user + nice + system + interrupts + softly, idle + waiting, steal)
    return None


class Shares(NamedTuple):
    """Shares of the time of all cores, from 0 to 1."""

    busy: float
    steal: float


def shares(first: Times | None, last: Times | None) -> Shares | None:
    """The shares between two moments; None where they are unknown."""
    if first is None or last is None:
        return None
    elapsed = sum(last) - sum(first)
    return Shares((last.busy - first.busy) / elapsed, (last.steal - first.steal) / elapsed) if elapsed > 0 else None


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
