"""Fixtures for tests of commands."""

import pytest

from loop_bench.cli.commands import main


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs a command as a process would; gives exit code, what it printed, and what it complained of."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code or 0
        return code, *capsys.readouterr()

    return run
