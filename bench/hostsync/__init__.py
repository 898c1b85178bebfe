"""Counts each time the host reads a tensor, and says where and what it cost; for any TensorFlow program.

    with hostsync.record() as log:
        train_step(batch)
    for read in log.reads:
        print(read.file, read.line, read.route, read.nbytes, read.waited)

    with hostsync.guard("disallow"):  # HostSyncError at the first read
        train_step(batch)
        with hostsync.allow("early stopping looks at the loss"):
            loss = float(loss)

README.md beside this file has every route by which TensorFlow lets the host read a tensor, which of them are seen,
and what was found in Keras' own loops.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.errors import HostSyncError, HostSyncWarning
    from bench.hostsync.graphs import HostOp
    from bench.hostsync.guards import allow, guard, limit
    from bench.hostsync.log import Log, Read, Site, by_site
    from bench.hostsync.recorder import record
    from bench.hostsync.tracing import Trace, TracedSite, by_function

_HOMES = {
    "HostOp": "bench.hostsync.graphs",
    "HostSyncError": "bench.errors",
    "HostSyncWarning": "bench.errors",
    "Log": "bench.hostsync.log",
    "Read": "bench.hostsync.log",
    "Site": "bench.hostsync.log",
    "Trace": "bench.hostsync.tracing",
    "TracedSite": "bench.hostsync.tracing",
    "allow": "bench.hostsync.guards",
    "by_function": "bench.hostsync.tracing",
    "by_site": "bench.hostsync.log",
    "guard": "bench.hostsync.guards",
    "limit": "bench.hostsync.guards",
    "load_ipython_extension": "bench.hostsync.command.notebook",  # for `%load_ext bench.hostsync`
    "record": "bench.hostsync.recorder",
}
"""Where each name lives. It is imported when it is used: some import TensorFlow, which takes seconds."""

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
    "guard",
    "limit",
    "record",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
