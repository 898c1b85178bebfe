"""What is found out about a rung in a process of its own."""

from __future__ import annotations

from typing import Literal

from bench.document import Count, Frozen
from bench.experiments.equivalence.record import Equivalence
from bench.experiments.syncs.record import HostSyncs
from bench.timing.samples import Start


class PeakMemory(Frozen):
    """The most that was held at a time, less what was held before."""

    of: Literal["device memory", "resident set"]
    nbytes: Count


class Finding(Frozen):
    """What is known of one rung; None: not looked at, or its process died first."""

    start: Start | None = None
    host_syncs: HostSyncs | None = None
    memory: PeakMemory | None = None
    equivalence: Equivalence | None = None  # with the baseline; None for the baseline itself, too
    died: str = ""  # what its process died of, in words; empty when it came to its end
