"""What one run of a program has shown: its host syncs, what it traced, and what could not be seen."""

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
    """What was found in one run of a program, or of a notebook's cell."""

    program: str
    exit_code: int
    seconds: float  # that it ran
    sites: tuple[Site, ...]
    host_ops: tuple[HostOp, ...]  # in the graphs that it traced
    traced: tuple[TracedSite, ...] = ()  # functions
    seconds_tracing: float = 0.0  # of those in `seconds`
    copies: Reconciled | None = None  # what the device says of it; None where no device was traced
    refused: int = 0  # reads that --disallow has kept from happening
    has_gpu: bool = False
    has_children: bool = False  # whether it has started processes, which were not looked into
    session_runs: int = 0  # of TensorFlow 1, which were not looked into
    graphs_before: int = 0  # that had been traced before it began
    unseen: tuple[str, ...] = ()  # routes that could not be recorded
    advice: tuple[Advice, ...] = ()  # what to do, for the lines that matter

    @classmethod
    def of(cls, program: Program, disallow: bool = False, stack: bool = False, trace: bool = False) -> Syncs:
        """Runs a program.

        Args:
            program: the program.
            disallow: whether the first read that is not inside `hostsync.allow` ends it.
            stack: whether to keep which code of a library read for a line.
            trace: whether TensorFlow's profiler looks at the device meanwhile.

        Raises:
            UsageError: it was to be traced, and a profiler is running already.
        """
        with watched(program.name, disallow, stack, trace) as watching:
            watching.exit_code = program.run(watching.guard)
        return watching.found

    @property
    def reads(self) -> int:
        """How many there were, over all sites."""
        return sum(site.reads for site in self.sites)

    @property
    def waited(self) -> float:
        """Seconds that reads had to wait for their values."""
        return sum(site.waited for site in self.sites)

    @property
    def again(self) -> int:
        """Retraces, over all functions."""
        return sum(each.again for each in self.traced)

    def plain(self, with_advice: bool = True) -> dict[str, Any]:
        """As JSON takes it, the totals and source lines with it."""
        return {
            **dataclasses.asdict(self),
            "reads": self.reads,
            "sites": [{**dataclasses.asdict(site), "source": site.source} for site in self.sites],
            "traced": [{**dataclasses.asdict(each), "source": each.source} for each in self.traced],
            "advice": [each.plain() for each in self.advice] if with_advice else [],
        }


@dataclasses.dataclass
class Watching:
    """A run that is being looked at.

    Attributes:
        guard: the context that is to be entered around it; None where nothing is refused.
        exit_code: of the run, to be set.
        found: what was found, once it is over.
    """

    guard: Guard | None
    exit_code: int = 0
    found: Syncs = dataclasses.field(init=False)


@contextlib.contextmanager
def watched(name: str, disallow: bool = False, stack: bool = False, trace: bool = False) -> Iterator[Watching]:
    """Looks at what is run inside; see `Syncs.of` for the arguments and what it raises.

    Args:
        name: of what is run, for the reader.
        disallow: as there.
        stack: as there.
        trace: as there.
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
    watching.found = dataclasses.replace(
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
    """CPU time of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
