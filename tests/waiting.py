"""Waiting for what another process does."""

import time

import psutil


def until(holds):
    """Returns as soon as something holds, which must be within two minutes."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_ended(process):
    """Whether a process has, also one that nobody has asked for its exit code."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
