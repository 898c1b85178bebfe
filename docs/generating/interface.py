"""Commands and options, from what their functions declare to Typer."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo, OptionInfo

from generating.markdown import code, paragraphs, prose, table
from loop_bench.cli import commands, homes, options
from loop_bench.cli.commands import COMMANDS
from loop_bench.experiments import registry
from loop_bench.seqgan import cli as seqgan

GROUPS: Mapping[str, Callable[[], Iterable[str]]] = {
    "loops": lambda: (
        "--before",
        "--after",
        "--preset",
        "--seed",
        *(option.name for option in (options.REPLICAS, options.REQUIRE_GPU)),
        "--script",
        *(option.name for option in options.OF_SCRIPT),
    ),
    "length": lambda: ("--batches", "--precision", "--max-time", "--rounds"),
    "homes": lambda: (option.name for option in homes.OPTIONS),
    "stages": lambda: (option.name for option in (options.SURVIVAL, options.UTILISATION)),
    "experiments": lambda: (
        *(each.switch.option.name for each in registry.experiments() if each.switch),
        options.ON.name,
    ),
    "output": lambda: (options.RESULTS.name,),
    "gate": lambda: (option.name for option in options.GATE),
}
"""The options of a run, by the part of options.md in which they stand."""


def options_of_a_run() -> set[str]:
    """Names of the options of a run."""
    return {option.name for option in (*options.of_run(), *options.GATE)}


def option_parts() -> Iterator[tuple[str, str]]:
    """The parts of options.md.

    Raises:
        SystemExit: an option of a run is in no group, or in several.
    """
    known = {each.names[0]: each for each in parameters(COMMANDS["run"].load())}
    del known[options.FULL_TRACE.name]
    grouped = [name for names in GROUPS.values() for name in names()]
    if sorted(grouped) != sorted(known):
        lost = {*known} ^ {*grouped} or {name for name in grouped if grouped.count(name) > 1}
        raise SystemExit(f"docs/generate.py: GROUPS must have each option of a run once: {', '.join(sorted(lost))}")
    for name, names in GROUPS.items():
        yield name, table(TITLES, [known[each].row() for each in names()])


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An option or argument of a command, as its function declares it to Typer."""

    names: tuple[str, ...]
    takes: str  # what stands for its value; empty for an argument, or where it takes none
    default: str
    meaning: str

    @classmethod
    def of(cls, parameter: inspect.Parameter) -> Parameter:
        """What is said of it in `Annotated[kind, typer.Option(...)]`."""
        kind, said = typing.get_args(parameter.annotation)[:2]
        kind = next((each for each in typing.get_args(kind) if each is not types.NoneType), kind)
        text, default = _default_in(said.help or "")
        if parameter.default is parameter.empty:
            default = "required"
        elif parameter.default is not None and parameter.default is not False:
            default = code(getattr(parameter.default, "value", parameter.default))
        if isinstance(said, ArgumentInfo):
            name = said.metavar or parameter.name.upper()
            is_optional = parameter.default is not parameter.empty and not name.startswith("[")
            return cls((f"[{name}]" if is_optional else name,), "", default, prose(text))
        names = _names(parameter.name, kind, said)
        takes = "" if kind is bool else said.metavar or {int: "N", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")
        return cls(
            names, takes, code(names[0]) if parameter.default is True else default, prose(_with_range(text, kind, said))
        )

    def row(self) -> tuple[str, str, str]:
        """Its row in a table."""
        *others, name = self.names
        return ", ".join(map(code, [*others, f"{name} {self.takes}".strip()])), self.meaning, self.default


TITLES = ("option", "meaning", "default")


def _names(parameter: str, kind: Any, said: OptionInfo) -> tuple[str, ...]:
    """All that an option is called."""
    # In an annotation, Typer takes the first name for its `default`.
    given = [each for each in (said.default, *(said.param_decls or ())) if isinstance(each, str) and each[:1] == "-"]
    name = parameter.replace("_", "-")
    made = f"--{name}/--no-{name}" if kind is bool else f"--{name}"
    return tuple(each for declared in given or [made] for each in declared.split("/"))


def _default_in(text: str) -> tuple[str, str]:
    """An option's help without the sentence on its default, and that."""
    found = re.search(r"\s*Default: (.+?)\.(?=\s[A-Z]|$)", text)
    return (f"{text[: found.start()]}{text[found.end() :]}".strip(), prose(found[1])) if found else (text, "")


def _with_range(text: str, kind: Any, said: OptionInfo) -> str:
    """An option's help with the values that it takes, where Typer knows them."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"{text} One of {', '.join(code(each.value) for each in kind)}.".strip()
    return f"{text} At least {said.min:g}." if said.min is not None and said.min > 1 else text


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Options and arguments of a command's function, in order."""
    return [Parameter.of(each) for each in inspect.signature(function, eval_str=True).parameters.values()]


def command(title: str, program: str, name: str, function: Callable[..., Any]) -> str:
    """A command's section: usage, help, examples, arguments and options.

    Args:
        title: of the section.
        program: how it is started.
        name: of the command.
        function: of the command, as Typer takes it.
    """
    found = parameters(function)
    of_run = options_of_a_run()
    is_run = of_run - {homes.AGAINST.name} <= {name for each in found for name in each.names}
    shown = [each for each in found if not (is_run and each.names[0] in of_run)]
    arguments = [each.names[0] for each in shown if not each.names[0].startswith("-")]
    usage = " ".join(["Usage:", program, name, "[OPTIONS]", *arguments])
    parts = [f"## {code(title)}", f"```\n{usage}\n```", *_help(function.__doc__ or "")]
    if is_run:
        parts.append("All [options of a run](options.md), and:")
    if shown:
        titles = ("argument or option" if arguments else TITLES[0], *TITLES[1:])
        parts.append(table(titles, [each.row() for each in shown]))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _help(text: str) -> Iterator[str]:
    """A command's help as Markdown, its examples as code."""
    examples: list[str] = []
    for each in paragraphs(text):
        begun = re.match(r"Examples?: ", each)
        if begun or examples:
            examples.append(each[begun.end() :] if begun else each)
        else:
            yield prose(each)
    if examples:
        yield "```sh\n{}\n```".format("\n".join(examples))


def command_parts() -> Iterator[tuple[str, str]]:
    """The parts of commands.md."""
    rows = [(f"[`{name}`](#{name})", prose(each.help)) for name, each in COMMANDS.items()]
    yield "list", table(("command", "what it does"), rows)
    callback = commands.app.registered_callback
    own = parameters(callback.callback) if callback and callback.callback else []
    yield "program", table(TITLES, [each.row() for each in own])
    yield "commands", "\n".join(command(name, "loop-bench", name, each.load()) for name, each in COMMANDS.items())
    program = "python -m loop_bench.seqgan"
    trains = [each.callback for each in seqgan.app.registered_commands if each.callback]
    yield "seqgan", "\n".join(command(f"{program} {each.__name__}", program, each.__name__, each) for each in trains)
