"""Reads gathered by the line that made them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

from bench.hostsync.callsite import Frame, reader, source_line
from bench.hostsync.log import Read


@dataclasses.dataclass(frozen=True)
class Site:
    """All the reads that one line made by one route."""

    file: str
    line: int
    route: str
    reads: int
    nbytes: int
    seconds: float  # that the host was blocked
    waits: int  # reads whose value was not ready
    waited: float  # seconds of those in `seconds` that went by before values were ready
    allowed: int  # reads inside hostsync.allow
    threads: tuple[str, ...]
    readers: tuple[tuple[tuple[Frame, ...], int], ...] = ()  # code of libraries that read for the line, if known

    @property
    def source(self) -> str:
        """The line; empty where the file is not there."""
        return source_line(self.file, self.line)


def by_site(reads: Iterable[Read]) -> tuple[Site, ...]:
    """One site for each line and route, those with most reads first."""
    gathered: dict[tuple[str, int, str], list[Read]] = collections.defaultdict(list)
    for read in reads:
        gathered[read.file, read.line, read.route].append(read)
    sites = (
        Site(
            file=file,
            line=line,
            route=route,
            reads=len(found),
            nbytes=sum(read.nbytes for read in found),
            seconds=sum(read.seconds for read in found),
            waits=sum(not read.ready for read in found),
            waited=sum(read.waited for read in found),
            allowed=sum(read.allowed is not None for read in found),
            threads=tuple(dict.fromkeys(read.thread for read in found)),
            readers=tuple(collections.Counter(filter(None, (reader(read.stack) for read in found))).most_common()),
        )
        for (file, line, route), found in gathered.items()
    )
    return tuple(sorted(sites, key=lambda site: (-site.reads, site.file, site.line, site.route)))
