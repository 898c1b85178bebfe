"""The host syncs of a stretch of training, as records keep them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import Field

from loop_bench.document import Count, Frozen, NotNegative

BATCHES = 100
"""In which reads are counted: enough for what happens once in ten batches."""


class ReadSite(Frozen):
    """All the reads that one line of code made by one route."""

    route: str
    file: str
    line: Count
    source: str  # the line itself
    reads: Annotated[int, Field(gt=0)]
    nbytes: Count
    seconds: NotNegative  # blocked in them
    waits: Count  # reads whose value was not ready
    waited: NotNegative  # seconds until those values were
    library: str = ""  # code of a library that reads for the line; empty where the line reads itself


class GraphHostOps(Frozen):
    """Ops of one kind in a traced function in which the host takes part, whenever the function runs."""

    kind: str
    function: str
    file: str  # where they were made
    line: Count
    ops: Annotated[int, Field(gt=0)]


class TracedFunction(Frozen):
    """All traces of one function."""

    function: str
    file: str  # where it is defined
    line: Count
    source: str  # the line itself
    traces: Annotated[int, Field(gt=0)]
    why: tuple[str, ...]  # what differed from its earlier traces, in words


def merged(functions: Iterable[TracedFunction], traces: Callable[[int, int], int]) -> tuple[TracedFunction, ...]:
    """Traces of one function that were gathered apart, as one; functions in the order in which they come first.

    Args:
        functions: a function may come several times.
        traces: makes one number of traces of two.
    """
    found: dict[tuple[str, str, int], TracedFunction] = {}
    for each in functions:
        key = each.function, each.file, each.line
        so_far = found.get(key)
        if so_far is not None:
            each = each.model_copy(update={"traces": traces(so_far.traces, each.traces), "why": each.why or so_far.why})
        found[key] = each
    return tuple(found.values())


class TracedCopies(Frozen):
    """The copies from the device in the same stretch, as the profiler saw them, held against the reads."""

    matched: Count  # pairs of a read and a copy
    unexplained: Count  # copies that no read explains
    unexplained_nbytes: Count
    python_only: Count  # reads of values that were on the host already
    uncopied: Count  # reads of the device without a copy


class HostSyncs(Frozen):
    """The reads of the device by the host in a stretch of training and in handing over its history."""

    batches: Annotated[int, Field(gt=0)]
    sites: tuple[ReadSite, ...]
    in_graphs: tuple[GraphHostOps, ...] = ()  # of the functions that the loop had traced by then
    copies: TracedCopies | None = None  # None where no device was traced
    # Functions that were traced in those batches, although the loop had trained before; None where it was not recorded.
    traced: tuple[TracedFunction, ...] | None = None

    @property
    def reads_per_batch(self) -> float:
        """Host syncs a batch."""
        return sum(site.reads for site in self.sites) / self.batches

    @property
    def nbytes_per_batch(self) -> float:
        """Bytes read from the device a batch."""
        return sum(site.nbytes for site in self.sites) / self.batches
