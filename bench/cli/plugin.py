"""The pytest plugin that wakes the harness when a run asks for it; every pytest of its environment loads it.

Options must be declared before pytest reads its command line, which for `pytest --pyargs loop_bench` no conftest can
do. Declaring them in every project that has this one installed would take `--seed` and `--before` from it; so what
the command line asks for is looked at first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from loop_bench import extras

BENCH = Path(__file__).resolve().parents[1]
"""The folder of the package: in a clone bench/ itself, to which src/loop_bench is a link."""

HARNESS = "loop_bench.cli.session"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Registers the harness, whose options pytest reads next.

    Raises:
        SystemExit: code 2 and one line: what it needs is not installed. At this moment pytest shows the traceback of
            its own `pytest.exit`, and has another code for a UsageError.
    """
    asked = early_config.known_args_namespace
    if asks_for_bench(asked.file_or_dir, bool(asked.pyargs), early_config.invocation_params.dir):
        try:
            extras.require("compare", "tensorflow")
        except extras.MissingExtraError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        early_config.pluginmanager.import_plugin(HARNESS)


def asks_for_bench(names: Sequence[str], pyargs: bool, folder: Path) -> bool:
    """Whether a command line asks for the tests of this package.

    Args:
        names: of files, folders or (with `pyargs`) packages on it.
        pyargs: whether they may be packages.
        folder: that paths are relative to, and whose tests are meant when there are no names.
    """
    wanted = [name.partition("::")[0] for name in names] or ["."]
    if pyargs and any(name.partition(".")[0] == __package__.partition(".")[0] for name in wanted):
        return True
    return any(_is_bench(folder / name) for name in wanted)


def _is_bench(path: Path) -> bool:
    try:
        return path.exists() and path.resolve().is_relative_to(BENCH)
    except OSError:  # an expression that is no path, too long for one
        return False
