"""Keeps `pytest .` in a clone from benchmarking: these tests need the options of the harness."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop_bench.cli.plugin import BENCH, HARNESS

HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves this folder out unless the command line names it.

    Raises:
        pytest.UsageError: it is named, but another copy of the package is installed, so that the harness is not active.
    """
    if config.pluginmanager.has_plugin(HARNESS):
        return None
    named = (config.invocation_params.dir / name.partition("::")[0] for name in config.args)
    if HERE != BENCH and any(path.resolve().is_relative_to(HERE) for path in named):
        raise pytest.UsageError(
            f"{HERE} is not the loop_bench that is installed, {BENCH}: pip install -e {HERE.parent}"
        )
    return True
