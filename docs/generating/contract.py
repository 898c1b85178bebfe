"""Signatures, fields and docstrings of the contract, read off the source by griffe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import griffe

from generating.markdown import code, paragraphs, prose, table

ROOT = Path(__file__).parents[2]


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
    parts = [
        f"```python\ndef {signature(function, name.rpartition('.')[2])}: ...\n```",
        *map(prose, paragraphs(found.get("text", ""))),
    ]
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
