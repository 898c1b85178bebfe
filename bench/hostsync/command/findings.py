"""Result of one recorded run of a program: its host syncs, its traces, and what could not be seen."""

from __future__ import annotations

import contextlib
import dataclasses
import resource
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from loop_bench.errors import UsageError
from loop_bench.hostsync.advice import Advice, advice
from loop_bench.hostsync.command.program import Program
from loop_bench.hostsync.graphs import HostOp
from loop_bench.hostsync.guards import Guard
from loop_bench.hostsync.log import Log, Site, by_site
from loop_bench.hostsync.reconcile import Reconciled, reconciled
from loop_bench.hostsync.tracing import TracedSite, by_function


@dataclasses.dataclass(frozen=True)
class Syncs:
    """Host syncs and traces of one run of a program, or of a notebook's cell."""

    program: str
    exit_code: int
    seconds: float  # duration of the run
    sites: tuple[Site, ...]
    host_ops: tuple[HostOp, ...]  # host ops in the graphs that the run traced
    traced: tuple[TracedSite, ...] = ()  # functions that the run traced
    seconds_tracing: float = 0.0  # time spent on tracing, part of `seconds`
    copies: Reconciled | None = None  # copies that the profiler saw; None: no device was traced
    refused: int = 0  # reads that --disallow has prevented
    has_gpu: bool = False
    has_children: bool = False  # whether the run started processes, whose reads are not recorded
    session_runs: int = 0  # runs of TensorFlow 1 sessions, whose reads are not recorded
    graphs_before: int = 0  # graphs that had been traced before the run
    unseen: tuple[str, ...] = ()  # routes that could not be recorded
    advice: tuple[Advice, ...] = ()  # what to do about the lines that matter

    @classmethod
    def of(cls, program: Program, disallow: bool = False, stack: bool = False, trace: bool = False) -> Syncs:
        """Runs a program and records its host syncs.

        Args:
            program: the program.
            disallow: whether the first read that is not inside `hostsync.allow` ends the program.
            stack: whether to keep which library code read for a line.
            trace: whether to trace the device with TensorFlow's profiler.

        Raises:
            UsageError: `trace` is set, but a profiler is running already.
        """
        with watched(program.name, disallow, stack, trace) as watching:
            watching.exit_code = program.run(watching.guard)
        return watching.syncs

    @property
    def reads(self) -> int:
        """Number of reads at all sites."""
        return sum(site.reads for site in self.sites)

    @property
    def waited(self) -> float:
        """Seconds that reads waited for their values."""
        return sum(site.waited for site in self.sites)

    @property
    def again(self) -> int:
        """Number of retraces of all functions."""
        return sum(site.again for site in self.traced)

    def plain(self, with_advice: bool = True) -> dict[str, Any]:
        """Plain values for JSON, with totals and source lines."""
        return {
            **dataclasses.asdict(self),
            "reads": self.reads,
            "sites": [{**dataclasses.asdict(site), "source": site.source} for site in self.sites],
            "traced": [{**dataclasses.asdict(site), "source": site.source} for site in self.traced],
            "advice": [advice.plain() for advice in self.advice] if with_advice else [],
        }


@dataclasses.dataclass
class Watching:
    """A run that is being recorded.

    Attributes:
        guard: context to enter around the run; None: no read is refused.
        exit_code: exit code of the run, set by the caller.
        syncs: the result, available after the run.
    """

    guard: Guard | None
    exit_code: int = 0
    syncs: Syncs = dataclasses.field(init=False)


@contextlib.contextmanager
def watched(name: str, disallow: bool = False, stack: bool = False, trace: bool = False) -> Iterator[Watching]:
    """Records what is run inside.

    Args:
        name: name of the program or cell, for the report.
        disallow: see `Syncs.of`.
        stack: see `Syncs.of`.
        trace: see `Syncs.of`.

    Raises:
        UsageError: see `Syncs.of`.
    """
    guard = Guard("disallow") if disallow else None
    watching = Watching(guard)
    children = _seconds_of_children()
    with contextlib.ExitStack() as recording:
        try:
            log, copies = recording.enter_context(reconciled(trace, stack))
        except RuntimeError as error:
            raise UsageError(str(error)) from error
        yield watching
    refused = guard.refused if guard else 0
    watching.syncs = dataclasses.replace(
        _of_log(log),
        program=name,
        exit_code=watching.exit_code or (1 if refused else 0),
        copies=copies[0] if copies else None,
        refused=refused,
        has_gpu=bool(tf.config.list_physical_devices("GPU")),
        has_children=_seconds_of_children() > children,
    )


def _of_log(log: Log) -> Syncs:
    traced = by_function(log.traces)
    not_allowed = by_site(read for read in log.reads if read.allowed is None)
    return Syncs(
        program="",
        exit_code=0,
        seconds=log.seconds,
        sites=by_site(log.reads),
        host_ops=tuple(log.host_ops),
        traced=traced,
        seconds_tracing=log.seconds_tracing,
        advice=advice(not_allowed, traced, log.host_ops, log.seconds, log.seconds_tracing),
        session_runs=log.session_runs,
        graphs_before=log.graphs_before,
        unseen=log.unseen,
    )


def _seconds_of_children() -> float:
    """CPU seconds of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
