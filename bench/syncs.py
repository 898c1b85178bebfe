"""The host syncs of a program that knows nothing of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from bench import hostsync
from bench.hostsync import HostOp, Site
from bench.hostsync.reconcile import Reconciled, reconciled
from bench.program import Program


@dataclasses.dataclass(frozen=True)
class Syncs:
    """What was found in one run of a program."""

    program: str
    exit_code: int
    seconds: float  # that it ran
    sites: tuple[Site, ...]
    host_ops: tuple[HostOp, ...]  # in the graphs that it traced
    copies: Reconciled | None  # what the device says of it; None where no device was traced
    unseen: tuple[str, ...]  # routes that could not be recorded

    @classmethod
    def of(cls, program: Program, disallow: bool = False, stack: bool = False, trace: bool = False) -> Syncs:
        """Runs the program.

        Args:
            program: the program.
            disallow: whether the first read that is not inside `hostsync.allow` ends it.
            stack: whether to keep which code of a library read for a line.
            trace: whether TensorFlow's profiler looks at the device meanwhile.

        Raises:
            RuntimeError: the profiler is in use by the program itself.
        """
        with reconciled(trace, stack) as (log, copies):
            exit_code = program.run(hostsync.guard("disallow") if disallow else None)
        return cls(
            program=program.name,
            exit_code=exit_code,
            seconds=log.seconds,
            sites=hostsync.by_site(log.reads),
            host_ops=tuple(log.host_ops),
            copies=copies[0] if copies else None,
            unseen=log.unseen,
        )

    @property
    def reads(self) -> int:
        """Of all sites."""
        return sum(site.reads for site in self.sites)

    def plain(self) -> dict[str, Any]:
        """As JSON takes it, the totals and source lines with it."""
        sites = [{**dataclasses.asdict(site), "source": site.source} for site in self.sites]
        return {**dataclasses.asdict(self), "reads": self.reads, "sites": sites}
