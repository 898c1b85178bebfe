"""Makes the parts of docs/reference/ that the code knows, or says which are stale.

    python docs/generate.py            # after a change of a command, an option, a docstring of the contract, a fault
    python docs/generate.py --check    # as CI does it; exit code 1 when something is stale

Such a part stands between two comments that name it; the rest of a page is written by hand. Signatures and docstrings
are read off the source by griffe, which imports nothing; options come from the table of options and from what Typer is
told.
"""

from __future__ import annotations

import dataclasses
import enum
import html
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import griffe
import pytest
import typer
from typer.models import ArgumentInfo, OptionInfo

from loop_bench.cli import commands, homes, options
from loop_bench.cli.commands import COMMANDS
from loop_bench.experiments import experiment, registry
from loop_bench.experiments.experiment import Option
from loop_bench.experiments.survival import outcome, plan
from loop_bench.experiments.survival.fault import Fault
from loop_bench.report import markdown
from loop_bench.seqgan import cli as seqgan
from loop_bench.writing import write_whole

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference"

# --- Markdown -------------------------------------------------------------------------------------------------------

_CODE = re.compile(
    r"""(?<![\w`/.=-])(?:
        --[a-z][\w-]*(?:[ =][A-Z][A-Z_]+(?::[A-Z]+)?)?            # an option, with the name of its value
      | [a-z]+://[\w.:/]*\w                                       # an address
      | [A-Z][A-Z0-9]*_[A-Z0-9_]+(?:=[A-Z]+:[A-Z]+)?              # an environment variable
      | [a-z_][\w.]*:[A-Za-z_]\w*(?:\(\w*\))?                   # module:function
      | [A-Z]+:[A-Z]+                                             # HOST:PORT
      | [A-Za-z_]\w*=[^\s,;)]*[^\s,;).](?:,[^\s,;)]*[^\s,;).])*   # name=value
      | (?!e\.g|i\.e)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?:\(\))?     # a dotted name
      | [A-Za-z_]\w*\([a-z_]*\)                                   # a call
    )""",
    re.VERBOSE,
)


def prose(text: str) -> str:
    """A text of a docstring or an option's help as Markdown, with what is code in code font."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(part if number % 2 else _plain(part) for number, part in enumerate(parts))


def _plain(text: str) -> str:
    # A comment, such as a marker, is code as a whole.
    parts = re.split(r"(<!--.*?-->)", text)
    return "".join(
        f"`{part}`" if number % 2 else _CODE.sub(r"`\g<0>`", part).replace("<", "&lt;")
        for number, part in enumerate(parts)
    )


def code(value: object) -> str:
    """A value in code font; nothing for nothing."""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if str(value) else ""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns that are empty are left out."""
    found = [list(row) for row in rows]
    kept = [place for place in range(len(titles)) if any(row[place] for row in found)]
    lines = [[titles[place] for place in kept], ["---"] * len(kept), *([row[place] for place in kept] for row in found)]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    """A cell whose bars end no column: in code, GitHub and Python-Markdown differ on how one is written."""
    coded = re.sub(r"`([^`]*\|[^`]*)`", lambda found: f"<code>{html.escape(found[1])}</code>", text)
    return coded.replace("|", "&#124;")


def paragraphs(text: str) -> list[str]:
    """Those of a docstring, each in one line."""
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", inspect.cleandoc(text)) if each.strip()]


# --- Options and commands -------------------------------------------------------------------------------------------

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


def options_of_a_run() -> dict[str, Option]:
    """By name."""
    return {option.name: option for option in (*options.of_run(), *options.GATE)}


def value(option: Option) -> str:
    """What an option takes."""
    kind = option.kind
    if isinstance(kind, experiment.Choice):
        return ", ".join(map(code, kind.words))
    words = {
        experiment.Flag: "",
        experiment.WholeNumber: f"whole number from {getattr(kind, 'least', 0)}",
        experiment.RealNumber: "number" if getattr(kind, "zero", False) else "number above 0",
        experiment.Percent: "percentage, as `5%`",
        experiment.Folder: "folder",
        experiment.ExistingFile: "file",
    }
    named = option.metavar or (option.command_metavar if type(kind) is experiment.OptionKind else None)
    return code(named) if named else words.get(type(kind), "text")


def default(option: Option) -> str:
    """What holds where an option is not given."""
    if option.default is not None:
        return code(option.default)
    return prose(option.default_words)


def option_rows(found: Iterable[Option]) -> str:
    """A table of options of the common table."""
    rows = [
        (code(option.name), value(option), default(option), _sentence(prose(options.words(option)))) for option in found
    ]
    return table(("option", "value", "default", "meaning"), rows)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def option_parts() -> Iterator[tuple[str, str]]:
    """The parts of options.md.

    Raises:
        SystemExit: an option of a run is in no group, or in several.
    """
    known = options_of_a_run()
    grouped = [name for names in GROUPS.values() for name in names()]
    if sorted(grouped) != sorted(known):
        lost = {*known} ^ {*grouped} or {name for name in grouped if grouped.count(name) > 1}
        raise SystemExit(f"docs/generate.py: GROUPS must have each option of a run once: {', '.join(sorted(lost))}")
    for name, names in GROUPS.items():
        yield name, option_rows(known[each] for each in names())


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An option or argument of a command, as its function declares it to Typer."""

    names: tuple[str, ...]
    is_argument: bool
    value: str
    default: str
    help: str

    @classmethod
    def of(cls, parameter: inspect.Parameter) -> Parameter:
        """What is said of it in `Annotated[kind, typer.Option(...)]`."""
        kind, said = typing.get_args(parameter.annotation)[:2]
        flag = kind in (bool, bool | None) and isinstance(said, OptionInfo)
        name = parameter.name.replace("_", "-")
        # In an annotation, Typer takes the first name for its `default`.
        given = [
            each for each in (said.default, *(said.param_decls or ())) if isinstance(each, str) and each[:1] == "-"
        ]
        declared = given or ([f"--{name}/--no-{name}"] if flag else [f"--{name}"])
        names = [each for declaration in declared for each in declaration.split("/")]
        text, standard = _default_in(said.help or "")
        if isinstance(said, ArgumentInfo):
            named = said.metavar or name.upper()
            names = [named if named[0] == "[" or parameter.default is parameter.empty else f"[{named}]"]
        if parameter.default is True:
            standard = code(names[0])
        elif not (parameter.default is None or parameter.default is False or parameter.default is parameter.empty):
            standard = code(getattr(parameter.default, "value", parameter.default))
        takes = "" if flag else code(said.metavar) if said.metavar else _values(kind, said)
        return cls(tuple(names), isinstance(said, ArgumentInfo), takes, standard or _needed(parameter), prose(text))

    def row(self) -> tuple[str, str, str, str]:
        """Its row in a table."""
        taken = "" if self.is_argument else self.value
        return ", ".join(map(code, self.names)), taken, self.default, self.help


def _needed(parameter: inspect.Parameter) -> str:
    return "required" if parameter.default is inspect.Parameter.empty else ""


def _default_in(text: str) -> tuple[str, str]:
    """An option's help without the sentence on its default, and that."""
    found = re.search(r"\s*Default: (.+?)\.(?=\s[A-Z]|$)", text)
    return (f"{text[: found.start()]}{text[found.end() :]}".strip(), prose(found[1])) if found else (text, "")


def _values(kind: Any, said: OptionInfo | ArgumentInfo) -> str:
    """What an option of a type takes, in words."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is list:
        return _values(next(each for each in typing.get_args(kind) if each is not types.NoneType), said)
    if issubclass(kind, enum.Enum):
        return ", ".join(code(each.value) for each in kind)
    least = f" from {said.min:g}" if said.min is not None and (kind is int or said.min) else ""
    return f"{({int: 'whole number', float: 'number', Path: 'path'}).get(kind, 'text')}{least}"


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Those of a command's function, in order."""
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
    is_run = {*of_run} - {homes.AGAINST.name} <= {name for each in found for name in each.names}
    shown = [each for each in found if not (is_run and each.names[0] in of_run)]
    arguments = [each for each in shown if each.is_argument]
    usage = " ".join(["Usage:", program, name, "[OPTIONS]", *(each.names[0] for each in arguments)])
    parts = [f"## {code(title)}", f"```\n{usage}\n```", *_help(function.__doc__ or "")]
    if is_run:
        parts.append("All [options of a run](options.md), and:")
    if shown:
        parts.append(table(("argument or option", "value", "default", "meaning"), [each.row() for each in shown]))
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
    yield "program", table(("option", "value", "default", "meaning"), [each.row() for each in own])
    yield "commands", "\n".join(command(name, "loop-bench", name, each.load()) for name, each in COMMANDS.items())
    program = "python -m loop_bench.seqgan"
    trains = [each.callback for each in seqgan.app.registered_commands if each.callback]
    yield "seqgan", "\n".join(command(f"{program} {each.__name__}", program, each.__name__, each) for each in trains)


# --- Signatures and docstrings --------------------------------------------------------------------------------------


def source(module: str) -> griffe.Module:
    """A module of ours, from its source."""
    file = (ROOT / "src" / Path(*module.split("."))).with_suffix(".py")
    return griffe.visit(module, file, text(file), docstring_parser=griffe.Parser.google)


def text(file: Path) -> str:
    """What stands in a file."""
    return file.read_text(encoding="utf-8")


def documented(found: Any) -> dict[str, Any]:
    """The sections of a docstring, by their kind; of several texts one."""
    sections: dict[str, Any] = {}
    for each in found.docstring.parsed if found.docstring else ():
        text = sections.get("text", "")
        sections[each.kind.value] = f"{text}\n\n{each.value}".strip() if each.kind.value == "text" else each.value
    return sections


def signature(function: griffe.Function, name: str) -> str:
    """How a function is called, an argument a line where it does not fit into one."""
    found, star = [], False
    for each in function.parameters:
        if each.name == "self":
            continue
        if each.kind is griffe.ParameterKind.keyword_only and not star:
            found, star = [*found, "*"], True
        stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(each.kind, "")
        typed = f": {each.annotation}" if each.annotation else ""
        found.append(f"{stars}{each.name}{typed}{f' = {each.default}' if each.default is not None else ''}")
    gives = f" -> {function.returns}" if function.returns else ""
    line = f"{name}({', '.join(found)}){gives}"
    return line if len(line) <= 100 else "{}(\n{}){}".format(name, "".join(f"    {each},\n" for each in found), gives)


def described(function: griffe.Function, name: str) -> str:
    """A function: its signature, what it is for, its arguments, what it gives and raises."""
    found = documented(function)
    parts = [f"```python\n{signature(function, name)}\n```", *map(prose, paragraphs(found.get("text", "")))]
    if arguments := found.get("parameters"):
        parts.append(table(("argument", "meaning"), [(code(each.name), prose(each.description)) for each in arguments]))
    parts += [f"Returns: {prose(each.description)}" for each in found.get("returns", ())]
    parts += [f"Raises {code(each.annotation)}: {prose(each.description)}" for each in found.get("raises", ())]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def fields(of: griffe.Class, known: Iterable[str] = ()) -> str:
    """The fields of a dataclass.

    Args:
        of: the class.
        known: names of classes that have a section on the page, for links.
    """
    sections = {each.name: each.description for each in documented(of).get("attributes", ())}
    rows = []
    for name, each in of.attributes.items():
        if "property" in each.labels:
            continue
        kind = code(each.annotation)
        for other in known:
            if str(each.annotation).partition(" ")[0] == other:
                kind = f"[{kind}](#{other.lower()})"
        said = sections.get(name) or (each.docstring.value if each.docstring else "") or _comment(each)
        rows.append((code(name), kind, code(_default(each)), prose(said)))
    return table(("field", "type", "default", "meaning"), rows)


def _default(attribute: griffe.Attribute) -> str:
    """What a field has by itself, as one would write it."""
    written = "" if attribute.value is None else str(attribute.value)
    made = re.fullmatch(r"(?:dataclasses\.)?[Ff]ield\(default_factory=(?:lambda: ?)?(.+)\)", written)
    return {"dict": "{}", "list": "[]"}.get(made[1], made[1]) if made else written


def _comment(attribute: griffe.Attribute) -> str:
    """The comment at the end of a field's line; nothing of one for linters."""
    line = text(attribute.module.filepath).splitlines()[attribute.endlineno - 1]
    _, mark, said = line.rpartition("  # ")
    return "" if not mark or "noqa" in line else said


LOOP, PAIR = "loop_bench.loop", "loop_bench.pair"
PLANS = "loop_bench.experiments.{}.plan"
DECLARED = {
    "Pair": PAIR,
    "Arm": PAIR,
    "Faults": PLANS.format("survival"),
    "Variant": PLANS.format("survival"),
    "Changes": PLANS.format("ladder"),
    "Axes": PLANS.format("sweep"),
    "Learning": PLANS.format("convergence"),
    "Question": PLANS.format("convergence"),
}
"""The classes of which `PAIRS` is made, and their modules."""

ADAPTERS = {"from_keras": "fit", "from_step": "step", "from_function": "function", "seed": "seeds"}
"""The functions of `loop_bench.loops`, and the modules that they are in."""


def contract_parts() -> Iterator[tuple[str, str]]:
    """The parts of contract.md."""
    loop = source(LOOP)
    yield "LoopSpec", fields(loop["LoopSpec"])
    protocol = loop["TrainingLoop"]
    members = [
        (code(signature(each, name) if each.is_function else name), prose(documented(each).get("text", "")))
        for name, each in protocol.members.items()
    ]
    yield "TrainingLoop", table(("member", "what it does"), members)
    yield "besides", "\n\n".join(map(prose, paragraphs(documented(protocol)["text"])[1:]))
    for name, module in ADAPTERS.items():
        yield name, described(source(f"loop_bench.loops.{module}")[name], f"loops.{name}")
    sections = []
    for name, module in DECLARED.items():
        found = source(module)[name]
        first = paragraphs(documented(found)["text"])[0]
        sections.append(
            f"### `{name}`\n\n{prose(first)}\n\n{fields(found, [each for each in DECLARED if each != name])}"
        )
    yield "pairs", "\n".join(sections)


# --- Exit codes and faults ------------------------------------------------------------------------------------------

PYTEST_CODES = {
    "OK": "every test passed",
    "TESTS_FAILED": "a test failed",
    "INTERRUPTED": "Ctrl-C",
    "INTERNAL_ERROR": "pytest, or a plugin, failed",
    "USAGE_ERROR": "an option or file that pytest does not know",
    "NO_TESTS_COLLECTED": "no test was found, as by `-k` with a name that is not there",
}
"""Those that every supported pytest has."""


def exit_code_parts() -> Iterator[tuple[str, str]]:
    """The parts of exit-codes.md."""
    outcomes = source("loop_bench.records.gate")["Outcome"].attributes
    rows = [
        (code(each.value), name.lower(), prose(each.docstring.value if each.docstring else ""))
        for name, each in outcomes.items()
    ]
    yield "gate", table(("code", "outcome", "meaning"), rows)
    rows = [(code(int(pytest.ExitCode[name])), code(name), meaning) for name, meaning in PYTEST_CODES.items()]
    yield "pytest", table(("code", "name", "meaning"), rows)


FAULT_SETS = {
    "in every run": lambda: plan.SHORT,
    "one batch of gradients": lambda: plan.MAGNITUDES,
    "gradients, otherwise": lambda: plan.SHAPES,
    "outside the gradients": lambda: plan.ELSEWHERE,
    "with `--replicas` above 1": lambda: plan.ONE_REPLICA,
}


def fault_parts() -> Iterator[tuple[str, str]]:
    """The parts of faults.md."""
    fault = source("loop_bench.experiments.survival.fault")["Fault"]
    said = {each.name: each.description for each in documented(fault)["attributes"]}
    standard = {field.name: field.default for field in dataclasses.fields(Fault)}
    said["place"] = "where the fault gets in: [below](#where-can-a-fault-get-in)"
    rows = [
        (
            code("in" if name == "place" else name),
            code("" if (known := standard[name]) is None else known),
            prose(words),
        )
        for name, words in said.items()
        if name not in ("kind", "factor")
    ]
    yield "keys", table(("key", "default", "meaning"), rows)
    yield (
        "matrix",
        table(
            ("when", "fault", "in words"),
            [
                (when, code(text), Fault.parse(text).describe())
                for when, texts in FAULT_SETS.items()
                for text in texts()
            ],
        ),
    )
    yield (
        "outcomes",
        table(("outcome", "what was observed"), [(name, prose(text)) for name, text in outcome.MEANINGS.items()]),
    )


# --- Pages ----------------------------------------------------------------------------------------------------------

MADE: Mapping[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "commands.md": command_parts,
    "options.md": option_parts,
    "contract.md": contract_parts,
    "exit-codes.md": exit_code_parts,
    "faults.md": fault_parts,
}
"""By page, what makes its parts."""


def pages(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Each page, what stands in it, and what is to stand in it."""
    for name, parts in MADE.items():
        path = folder / name
        old = new = text(path)
        for part, content in parts():
            new = markdown.replaced(new, part, content, str(path))
        yield path, old, new


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 when a page is stale.")] = False,
) -> None:
    """Make the generated parts of docs/reference/ anew."""
    stale = [(path, new) for path, old, new in pages(PAGES) if old != new]
    for path, new in stale:
        print(f"docs/reference/{path.name}: {'stale: run python docs/generate.py' if check else 'written'}")
        if not check:
            write_whole(path, new)
    raise typer.Exit(int(check and bool(stale)))


if __name__ == "__main__":
    typer.run(main)
