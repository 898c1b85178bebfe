"""Keeps `pytest .` in a clone from benchmarking: without the harness's options these tests mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop_bench.cli.plugin import HARNESS


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves this folder out unless the command line named it."""
    return None if config.pluginmanager.has_plugin(HARNESS) else True
