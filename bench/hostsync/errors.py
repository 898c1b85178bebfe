"""What goes wrong, and what is worth a warning."""

from __future__ import annotations


class HostSyncError(RuntimeError):
    """The host reads a tensor where it must not, or more often than it may."""


class ProfilerError(RuntimeError):
    """TensorFlow's profiler cannot be had, or has left no trace."""


class HostSyncWarning(RuntimeWarning):
    """The host reads a tensor where it should not, or reads cannot all be seen."""
