"""What is found out about a rung in a process of its own."""

from __future__ import annotations

from bench.experiments.equivalence.record import Equivalence
from bench.experiments.syncs.record import HostSyncs
from bench.jobs.pool import Result
from bench.machine.memory import PeakMemory
from bench.timing.samples import Start


class Finding(Result):
    """Of one rung; None is what was not looked at, or what its process did not live to say."""

    start: Start | None = None
    host_syncs: HostSyncs | None = None
    memory: PeakMemory | None = None
    equivalence: Equivalence | None = None  # with the baseline; None for the baseline itself, too
    died: str = ""  # what its process died of, in words; empty when it came to its end
