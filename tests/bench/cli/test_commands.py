import importlib.metadata

import programs
import pytest
import typer
from records import arm, record

from loop_bench import extras
from loop_bench.cli import commands
from loop_bench.cli.commands import COMMANDS, Command
from loop_bench.experiments import registry

HEAVY = {module for brought in extras.EXTRAS.values() for module in brought.values()} | {"keras"}


def test_as_a_module_that_reads_records_without_tensorflow(tmp_path):
    path = record(arms={"after": arm("c:d")}, after=0.09).write(tmp_path)
    done, imported = programs.imports_of("-m", "loop_bench", "gate", path)
    assert done.returncode == 1
    assert done.stdout.startswith("failed: ")
    assert "loop_bench.records.gate" in imported
    assert not {"tensorflow", "matplotlib", "jinja2", "ruptures", "nltk"} & imported


def test_a_table_is_not_kept_waiting_by_what_draws(tmp_path):
    done, imported = programs.imports_of("-m", "loop_bench", "report", record().write(tmp_path), "--format", "markdown")
    assert done.stdout.startswith("**faster**")
    assert not {"tensorflow", "matplotlib", "jinja2"} & imported


def test_help_lists_every_command_and_imports_none():
    done, imported = programs.imports_of("-m", "loop_bench", "--help")
    assert done.returncode == 0
    assert [name for name in COMMANDS if f"{name} " not in done.stdout] == []
    assert "loop_bench.cli.commands" in imported
    assert not {name.partition(".")[0] for name in imported} & HEAVY
    own = {name for name in imported if name.startswith("loop_bench.cli.")}
    assert own == {"loop_bench.cli.commands"}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda each: each.name)
def test_the_list_says_what_the_command_says_first(command):
    made = command.made()
    assert made.help.replace("\n", " ").startswith(command.help)
    assert made.name == command.name


def test_every_experiment_is_a_command():
    assert {each.command for each in registry.REGISTRY.values() if each.experiment} <= {*COMMANDS}
    assert all(bool(each.command) == bool(each.experiment) == bool(each.help) for each in registry.REGISTRY.values())


def test_the_version(run):
    assert run("--version") == (0, f"loop-bench {importlib.metadata.version('loop-bench')}\n", "")


def test_a_command_that_is_not_there(run):
    code, _, err = run("gaet", "x.json")
    assert code == 2
    assert "gaet" in err
    assert "gate" in err  # what may have been meant


def test_without_arguments_help_is_shown(run):
    code, out, err = run()
    assert code in (0, 2)  # as click has it
    assert "survive" in out + err


@pytest.mark.parametrize(
    ("extra", "arguments", "line"),
    [
        (
            "history",
            ["history", "results/"],
            "error: not installed: ruptures; pip install 'loop-bench[history]' brings it",
        ),
        ("compare", ["gate", "a.json"], "error: not installed: pandas, scipy, "),
        ("compare", ["run", "--preset", "tiny"], "error: not installed: pandas, scipy, "),
        ("tensorflow", ["survive"], "error: not installed: tensorflow; pip install 'loop-bench[tensorflow]' brings it"),
        ("tensorflow", ["syncs", "train.py"], "error: not installed: tensorflow; pip install 'loop-bench[tensorflow]'"),
    ],
)
def test_a_command_without_its_extra_says_what_brings_it(run, lacking, extra, arguments, line):
    lacking(extra)
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(line)
    assert f"pip install 'loop-bench[{extra}" in err


def test_a_paragraph_of_help_is_as_wide_as_the_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 400)
    _, out, _ = run("gate", "--help")
    (line,) = [line for line in out.splitlines() if "0 passed, 1 slower" in line]
    assert "it cannot be shown to be less." in line
    assert "Inside GitHub Actions" not in line


def test_help_needs_no_extra(run, lacking):
    lacking("compare")
    assert run("--help")[0] == 0


def test_a_command_is_one_line(monkeypatch, run):
    def hello(name: str = "you") -> None:
        """Say hello."""
        print(f"hello {name}")

    monkeypatch.setitem(COMMANDS, "hello", Command("hello", "Say hello.", lambda: hello, needs=()))
    assert run("hello", "--name", "me") == (0, "hello me\n", "")
    assert "hello" in typer.main.get_command(commands.app).commands
