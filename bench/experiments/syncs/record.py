"""The record of the host syncs and retraces in a stretch of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import Field

from loop_bench.document import Count, Frozen, NotNegative

BATCHES = 100
"""Batches in which reads are counted: enough for reads that happen once in ten batches."""


class ReadSite(Frozen):
    """All reads of one line of code by one route."""

    route: str
    file: str
    line: Count
    source: str  # the line itself
    reads: Annotated[int, Field(gt=0)]
    nbytes: Count
    seconds: NotNegative  # time blocked in the reads
    waits: Count  # reads whose value was not ready
    waited: NotNegative  # seconds until those values were ready
    library: str = ""  # code of a library that performs the reads; empty: the line itself does


class GraphHostOps(Frozen):
    """Ops of one kind in a traced function that involve the host whenever the function runs."""

    kind: str
    function: str
    file: str  # of the line that created the ops
    line: Count
    ops: Annotated[int, Field(gt=0)]


class TracedFunction(Frozen):
    """All traces of one function."""

    function: str
    file: str  # of the function's definition
    line: Count
    source: str  # the line itself
    traces: Annotated[int, Field(gt=0)]
    why: tuple[str, ...]  # what differed from its earlier traces, in words


def merged(functions: Iterable[TracedFunction], traces: Callable[[int, int], int]) -> tuple[TracedFunction, ...]:
    """Merges entries of the same function, in the order of their first appearance.

    Args:
        functions: may contain several entries of a function.
        traces: combines the numbers of traces of two entries.
    """
    by_function: dict[tuple[str, str, int], TracedFunction] = {}
    for entry in functions:
        key = entry.function, entry.file, entry.line
        earlier = by_function.get(key)
        if earlier is not None:
            combined = {"traces": traces(earlier.traces, entry.traces), "why": entry.why or earlier.why}
            entry = entry.model_copy(update=combined)
        by_function[key] = entry
    return tuple(by_function.values())


class TracedCopies(Frozen):
    """The copies from the device in the profiler's trace of the stretch, matched with the reads."""

    matched: Count  # pairs of a read and a copy
    unexplained: Count  # copies that no read explains
    unexplained_nbytes: Count
    python_only: Count  # reads of values that were already on the host
    uncopied: Count  # reads of the device without a copy


class HostSyncs(Frozen):
    """The reads of the device by the host in a stretch of training, and in returning its history afterwards."""

    batches: Annotated[int, Field(gt=0)]
    sites: tuple[ReadSite, ...]
    in_graphs: tuple[GraphHostOps, ...] = ()  # host ops in the functions that the loop had traced by then
    copies: TracedCopies | None = None  # None: no device was traced
    # Functions that were traced in these batches, although the loop was warm; None: not recorded.
    traced: tuple[TracedFunction, ...] | None = None

    @property
    def reads_per_batch(self) -> float:
        """Host syncs per batch."""
        return sum(site.reads for site in self.sites) / self.batches

    @property
    def nbytes_per_batch(self) -> float:
        """Bytes read from the device per batch."""
        return sum(site.nbytes for site in self.sites) / self.batches
