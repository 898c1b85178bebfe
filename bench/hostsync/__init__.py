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
    from bench.hostsync.allowed import allow
    from bench.hostsync.errors import HostSyncError, HostSyncWarning
    from bench.hostsync.graphs import HostOp
    from bench.hostsync.guards import guard, limit
    from bench.hostsync.log import Log, Read
    from bench.hostsync.recorder import record
    from bench.hostsync.sites import Site, by_site

_HOMES = {
    "HostOp": "graphs",
    "HostSyncError": "errors",
    "HostSyncWarning": "errors",
    "Log": "log",
    "Read": "log",
    "Site": "sites",
    "allow": "allowed",
    "by_site": "sites",
    "guard": "guards",
    "limit": "guards",
    "record": "recorder",
}
"""Where each name lives. It is imported when it is used: some import TensorFlow, which takes seconds."""

__all__ = [
    "HostOp",
    "HostSyncError",
    "HostSyncWarning",
    "Log",
    "Read",
    "Site",
    "allow",
    "by_site",
    "guard",
    "limit",
    "record",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
