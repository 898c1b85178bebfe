"""The commands of `loop-bench`, one entry each; a command's modules are imported only when it is called."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import inspect
import io
import itertools
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from loop_bench import extras
from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.failure import LoopError, exit_code
from loop_bench.report import terminal


@dataclasses.dataclass(frozen=True)
class Command:
    """An entry in the list of commands, which imports the command itself on demand."""

    name: str
    help: str  # the first sentence of the command's own help
    load: Callable[[], Callable[..., None]]  # imports the command's function
    needs: tuple[str, ...] = ("compare",)  # extras
    context: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # settings of click's context

    def listed(self) -> TyperCommand:
        """The command without its options, for the list of commands."""
        return TyperCommand(self.name, help=self.help)

    def made(self) -> Any:
        """The command with its options, ready to call.

        Raises:
            MissingExtraError: an extra that the command needs is not installed.
        """
        extras.require(*self.needs)
        app, function = _app(), self.load()
        # Lines are joined so that the terminal wraps paragraphs at its own width.
        text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(function) or "")
        app.command(self.name, help=text, context_settings=dict(self.context))(function)
        return typer.main.get_command(app)


def _at(where: str) -> Callable[[], Callable[..., None]]:
    """Returns a function that imports `module:function` of this package."""
    return functools.partial(pkgutil.resolve_name, f"{__package__}.{where}")


def _experiment(kind: str) -> Callable[[], Callable[..., None]]:
    """Returns a function that makes the command of an experiment."""

    def load() -> Callable[..., None]:
        from loop_bench.cli import experiments

        return experiments.command(registry.experiment(kind))

    return load


_LOOPS = ("compare", "tensorflow")
_PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Settings of click's context that pass all arguments after the program's name on to the program."""

COMMANDS = {
    command.name: command
    for command in (
        Command("run", "Compare two training loops: speed, host syncs, survival.", _at("run:COMMAND"), _LOOPS),
        Command(
            "against",
            "Compare a loop with itself at another git revision: is this branch slower than main?",
            _at("run:AGAINST"),
            _LOOPS,
        ),
        Command(
            "worker",
            "Train together with the machine that measures: what the chief does, this process does at the same time.",
            _at("worker:worker"),
            _LOOPS,
        ),
        Command(
            "syncs",
            "Run a program unchanged, and show every line that reads a tensor to the host, and every retraced "
            "function.",
            _at("syncs:syncs"),
            ("tensorflow",),
            _PASSED_ON,
        ),
        Command(
            "doctor",
            "Show what is installed, which devices compute, whether the machine is quiet enough to measure, and what "
            "to do.",
            _at("doctor:doctor"),
            needs=(),
        ),
        Command("compare", "Show what changed from record A to record B.", _at("records:compare")),
        Command(
            "history",
            "Show ms/batch and the ratio over all records in a folder, and where they changed for good.",
            _at("records:history"),
            ("compare", "history"),
        ),
        Command(
            "gate",
            "Decide whether a record passes; the exit code gives the decision, and one line the reason.",
            _at("records:gate"),
        ),
        Command(
            "accept",
            "Make a record the reference for its machine, loops and settings, replacing an earlier one.",
            _at("records:accept"),
        ),
        Command(
            "report",
            "Show a record of any kind, as a table for the terminal, Markdown, CSV with plain numbers, or a page with "
            "plots.",
            _at("documents:report"),
        ),
        Command(
            "claims",
            "Hold what was said of the change, before anything was measured, against records: claim by claim.",
            _at("documents:claims"),
        ),
        *(
            Command(entry.command, entry.help, _experiment(kind), _LOOPS)
            for kind, entry in registry.REGISTRY.items()
            if entry.experiment
        ),
    )
}
"""All commands, in the order in which `--help` lists them."""


class _Commands(TyperGroup):
    """Group that lists all commands and imports only the one that is called (click's LazyGroup)."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update({name: command.listed() for name, command in COMMANDS.items()})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The name and command that the first argument selects, and the remaining arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        command = COMMANDS[str(name)]
        if command.needs == _LOOPS:  # the module of a factory may import TensorFlow, which begins with lines of its log
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        return name, command.made(), rest


def _app(**settings: Any) -> typer.Typer:
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, **settings)


app = _app(
    cls=_Commands,
    help="Compares two TensorFlow training loops, compares and gates the records of such runs, finds the host syncs of "
    "any program, and runs experiments with records of their own.",
    no_args_is_help=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"loop-bench {importlib.metadata.version('loop-bench')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Declares the options of the program itself."""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command and returns its exit code (see `gate --help`); 130 when interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # the locale may lack × and →
    try:
        app(_with_options_ended(sys.argv[1:] if arguments is None else arguments))
    except (LoopError, UsageError) as error:
        terminal.complain(f"error: {error}")
        return exit_code(error)
    return 0


def _with_options_ended(arguments: list[str]) -> list[str]:
    """Inserts or removes `--` so that arguments reach the command or the program that they are meant for.

    After `syncs -m MODULE`, as after `python -m MODULE`, all arguments are the module's: `--` is inserted. After
    `against REVISION --` they are options of the run: `--` is removed.
    """
    if arguments[:1] == ["against"] and arguments[2:3] == ["--"]:
        return [*arguments[:2], *arguments[3:]]
    if arguments[:1] == ["syncs"]:
        options = list(itertools.takewhile(lambda text: text.startswith("-") and text != "-m", arguments[1:]))
        after = len(options) + 3
        if arguments[after - 2 : after - 1] == ["-m"]:
            return [*arguments[:after], "--", *arguments[after:]]
    return arguments
