"""Every command and option in workflows, scripts and guides exists."""

import command_lines
import pytest

from loop_bench.cli import commands
from loop_bench.cli.plugin import BENCH

pytest_plugins = ["pytester"]

FILES = (
    ".ci/run",
    ".ci/gpu",
    ".ci/against",
    ".github/workflows/cpu.yml",
    "CONTRIBUTING.md",
    "README.md",
    "RUNNERS.md",
    "docs/against.md",
    "results/README.md",
)
LINES = sorted({(file, *line) for file in FILES for line in command_lines.found(command_lines.ROOT / file)})
COMMANDS = [line for line in LINES if line[1] == "loop-bench"]
RUNS = [line for line in LINES if line[1] == "pytest"]

# What another test has imported in this process before says nothing of a command line.
IGNORED = ("-W", "ignore:Module already imported so cannot be rewritten")


@pytest.mark.parametrize("line", COMMANDS, ids=" ".join)
def test_commands_of_loop_bench(line):
    _, _, *arguments = line
    name, *rest = arguments
    commands.COMMANDS[name].made().make_context(name, rest)  # parses, and does not run


@pytest.mark.parametrize("line", RUNS, ids=" ".join)
def test_commands_of_pytest(line, pytester):
    _, _, folder, *arguments = line
    config = pytester.parseconfig(str(command_lines.ROOT / folder), *IGNORED, *arguments)
    assert config.getoption("preset", "not declared") != "not declared"  # the harness has read them


def test_some_command_lines_are_found():
    files = {line[0] for line in COMMANDS}, {line[0] for line in RUNS}
    assert all({".ci/gpu", "RUNNERS.md", "README.md"} <= found for found in files)
    assert (".ci/gpu", "pytest", "bench/", "--benchmark-only", "--require-gpu") in {line[:5] for line in RUNS}


def test_an_option_that_is_not_there_is_noticed(pytester):
    with pytest.raises(pytest.UsageError, match="--no-such-option"):
        pytester.parseconfig(str(BENCH), *IGNORED, "--no-such-option")
