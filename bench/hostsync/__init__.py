"""Counts the host's reads of tensors in any TensorFlow program, with the call site and the cost of each.

    with hostsync.record() as log:
        train_step(batch)
    for read in log.reads:
        print(read.file, read.line, read.route, read.nbytes, read.waited)

    with hostsync.guard("disallow"):  # HostSyncError at the first read
        train_step(batch)
        with hostsync.allow("early stopping looks at the loss"):
            loss = float(loss)

docs/reference/routes.md lists the routes by which TensorFlow lets the host read a tensor and says which of them are
seen; docs/findings/host-syncs.md shows the reads in Keras' own loops.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loop_bench.errors import HostSyncError, HostSyncWarning
    from loop_bench.hostsync.graphs import HostOp
    from loop_bench.hostsync.guards import allow, guard, limit
    from loop_bench.hostsync.log import Log, Read, Site, by_site
    from loop_bench.hostsync.recorder import capabilities, record
    from loop_bench.hostsync.tracing import Trace, TracedSite, by_function

_HOMES = {
    "HostOp": "loop_bench.hostsync.graphs",
    "HostSyncError": "loop_bench.errors",
    "HostSyncWarning": "loop_bench.errors",
    "Log": "loop_bench.hostsync.log",
    "Read": "loop_bench.hostsync.log",
    "Site": "loop_bench.hostsync.log",
    "Trace": "loop_bench.hostsync.tracing",
    "TracedSite": "loop_bench.hostsync.tracing",
    "allow": "loop_bench.hostsync.guards",
    "by_function": "loop_bench.hostsync.tracing",
    "by_site": "loop_bench.hostsync.log",
    "capabilities": "loop_bench.hostsync.recorder",
    "guard": "loop_bench.hostsync.guards",
    "limit": "loop_bench.hostsync.guards",
    "load_ipython_extension": "loop_bench.hostsync.command.notebook",  # for `%load_ext loop_bench.hostsync`
    "record": "loop_bench.hostsync.recorder",
}
"""Module of each public name, imported when the name is first used: some import TensorFlow, which takes seconds."""

__all__ = [
    "HostOp",
    "HostSyncError",
    "HostSyncWarning",
    "Log",
    "Read",
    "Site",
    "Trace",
    "TracedSite",
    "allow",
    "by_function",
    "by_site",
    "capabilities",
    "guard",
    "limit",
    "record",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
