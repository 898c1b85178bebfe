"""The share of the CPU that a process gets: cores, quota, clock, and what others take; as far as Linux tells."""

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
    """How many there are, and how many this process may use; None for what the system does not say."""

    of_machine: int | None
    allowed: int | None  # by its affinity, after which TensorFlow chooses the number of its threads
    quota: float | None  # CPUs' worth of time that its cgroup may take; None: no limit


def cores(root: Path = _ROOT) -> Cores:
    """The cores of this process; `root` is where /proc and /sys are."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return Cores(os.cpu_count(), allowed, quota(root))


def quota(root: Path = _ROOT) -> float | None:
    """CPUs' worth of time in a period that the cgroup of this process, or one around it, is limited to; None: none.

    Linux: Documentation/admin-guide/cgroup-v2.rst (cpu.max), and Documentation/scheduler/sched-bwc.rst for version 1.
    """
    found = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if not controllers:
            found += [_share(*_words(each / "cpu.max")) for each in _around(root / _GROUPS, path)]
        elif "cpu" in names:
            for each in _around(root / _GROUPS / controllers, path):
                found.append(_share(*_words(each / "cpu.cfs_quota_us"), *_words(each / "cpu.cfs_period_us")))
    return min((each for each in found if each is not None), default=None)


def _around(mount: Path, path: str) -> list[Path]:
    """The folder of a cgroup and those around it; in a container only the mount itself may be there."""
    inner = mount / path.strip("/")
    return [each for each in (inner, *inner.parents) if each == mount or mount in each.parents]


def _share(limit: str = "max", period: str = "100000", *_: str) -> float | None:
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() and int(period) else None


def governors(root: Path = _ROOT) -> tuple[str, ...]:
    """The names of what chooses the clock of cores, each once; empty where it is not said, as in a virtual machine."""
    found = (_words(each / "scaling_governor") for each in root.glob(_CPUS))
    return tuple(sorted({words[0] for words in found if words}))


class Clock(NamedTuple):
    """The clock of the cores in MHz, the mean over them; None where it is not said."""

    now: float | None
    highest: float | None


def clock(root: Path = _ROOT) -> Clock:
    """The clock at this moment, and the highest one."""
    now = [int(word) / 1e3 for each in root.glob(_CPUS) for word in _words(each / "scaling_cur_freq")[:1]]
    highest = [int(word) / 1e3 for each in root.glob(_CPUS) for word in _words(each / "cpuinfo_max_freq")[:1]]
    if not now:
        lines = (line.partition(":") for line in _lines(root / "proc/cpuinfo"))
        now = [float(value) for name, _, value in lines if name.strip() == "cpu MHz"]
    return Clock(_mean(now), _mean(highest))


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


class Times(NamedTuple):
    """Time of all cores since the machine has started, in ticks (man 5 proc_stat)."""

    busy: int
    idle: int
    steal: int  # that a hypervisor gave to others while something here wanted to run


def times(root: Path = _ROOT) -> Times | None:
    """The times until now; None where the system does not say."""
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
    """What was done between two moments; None where that is not known."""
    if first is None or last is None:
        return None
    passed = sum(last) - sum(first)
    return Shares((last.busy - first.busy) / passed, (last.steal - first.steal) / passed) if passed > 0 else None


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
