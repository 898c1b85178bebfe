"""Waits for other processes."""

import time

import psutil


def until(holds):
    """Waits until a condition holds, at most two minutes."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_ended(process):
    """Whether a process has ended, even if nobody has collected its exit code."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
