"""Counts the host syncs of a loop in this process, as a record."""

from __future__ import annotations

from collections.abc import Iterable

from loop_bench.experiments.syncs import stretch
from loop_bench.experiments.syncs.record import HostSyncs
from loop_bench.hostsync import HostOp
from loop_bench.loop import TrainingLoop


def count_host_syncs(loop: TrainingLoop, batches: int, traced: Iterable[HostOp] = (), trace: bool = False) -> HostSyncs:
    """Counts the reads of the device in a stretch of training; see `stretch.counted`."""
    return HostSyncs.model_validate(stretch.counted(loop, batches, traced, trace))
