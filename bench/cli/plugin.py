"""The pytest plugin that registers the harness if the command line names its tests; loaded by every pytest.

Options must be declared before pytest reads its command line, and for `pytest --pyargs loop_bench` no conftest can do
that. Declaring them in every project that has this one installed would take `--seed` and `--before` from that project,
so the command line is examined first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from loop_bench import extras

BENCH = Path(__file__).resolve().parents[1]
"""The folder of the package; in a clone bench/ itself, to which src/loop_bench links."""

HARNESS = "loop_bench.cli.session"
"""The module of the plugin that runs the harness."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Registers the harness, so that pytest declares its options.

    Raises:
        SystemExit: code 2 and one line: an extra that the harness needs is not installed. (So early, `pytest.exit`
            would show a traceback, and a UsageError would have another exit code.)
    """
    arguments = early_config.known_args_namespace
    if asks_for_bench(arguments.file_or_dir, bool(arguments.pyargs), early_config.invocation_params.dir):
        try:
            extras.require("compare", "tensorflow")
        except extras.MissingExtraError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        early_config.pluginmanager.import_plugin(HARNESS)


def asks_for_bench(names: Sequence[str], pyargs: bool, folder: Path) -> bool:
    """Whether a command line names tests of this package.

    Args:
        names: files, folders or (with `pyargs`) packages on the command line.
        pyargs: whether a name may be a package.
        folder: the folder that paths are relative to, and whose tests run if there are no names.
    """
    targets = [name.partition("::")[0] for name in names] or ["."]
    if pyargs and any(name.partition(".")[0] == __package__.partition(".")[0] for name in targets):
        return True
    return any(_is_bench(folder / name) for name in targets)


def _is_bench(path: Path) -> bool:
    try:
        return path.exists() and path.resolve().is_relative_to(BENCH)
    except OSError:  # not a path: an expression that is too long for one
        return False
