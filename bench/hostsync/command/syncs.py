"""The host syncs of a program that knows nothing of it."""

from __future__ import annotations

import dataclasses
import resource
from typing import Any

import tensorflow as tf

from bench import hostsync
from bench.errors import UsageError
from bench.hostsync import HostOp, Site
from bench.hostsync.command.program import Program
from bench.hostsync.guards import Guard
from bench.hostsync.reconcile import Reconciled, reconciled


@dataclasses.dataclass(frozen=True)
class Syncs:
    """What was found in one run of a program."""

    program: str
    exit_code: int
    seconds: float  # that it ran
    sites: tuple[Site, ...]
    host_ops: tuple[HostOp, ...]  # in the graphs that it traced
    copies: Reconciled | None  # what the device says of it; None where no device was traced
    refused: int  # reads that --disallow has kept from happening
    has_gpu: bool
    has_children: bool  # whether it has started processes, which were not looked into
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
            UsageError: it was to be traced, and a profiler is running already.
        """
        guard = Guard("disallow" if disallow else "allow")
        children = _seconds_of_children()
        try:
            with reconciled(trace, stack) as (log, copies):
                exit_code = program.run(guard if disallow else None)
        except RuntimeError as error:
            raise UsageError(str(error)) from error
        return cls(
            program=program.name,
            exit_code=exit_code or (1 if guard.refused else 0),
            seconds=log.seconds,
            sites=hostsync.by_site(log.reads),
            host_ops=tuple(log.host_ops),
            copies=copies[0] if copies else None,
            refused=guard.refused,
            has_gpu=bool(tf.config.list_physical_devices("GPU")),
            has_children=_seconds_of_children() > children,
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


def _seconds_of_children() -> float:
    """CPU time of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
