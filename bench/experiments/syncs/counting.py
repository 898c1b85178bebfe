"""How often a loop makes the host wait for the device, as records keep it."""

from __future__ import annotations

from collections.abc import Iterable

from loop_bench.experiments.syncs import stretch
from loop_bench.experiments.syncs.record import HostSyncs
from loop_bench.hostsync import HostOp
from loop_bench.loop import TrainingLoop


def count_host_syncs(loop: TrainingLoop, batches: int, traced: Iterable[HostOp] = (), trace: bool = False) -> HostSyncs:
    """See `stretch.counted`."""
    return HostSyncs.model_validate(stretch.counted(loop, batches, traced, trace))
