"""Checks for features missing from the oldest supported Python, and that every module imports on this Python."""

import ast
import importlib
from pathlib import Path

import pytest
from test_floors import FILES

ROOT = Path(__file__).parents[1]
OLDEST = (3, 10)
SOURCES = [*FILES.values(), *sorted((ROOT / "tests").rglob("*.py"))]

NEWER = {
    "asyncio": {"Barrier", "Runner", "TaskGroup", "timeout"},
    "contextlib": {"chdir"},
    "datetime": {"UTC"},
    "enum": {"EnumCheck", "ReprEnum", "StrEnum", "member", "nonmember", "verify"},
    "hashlib": {"file_digest"},
    "inspect": {"getmembers_static", "markcoroutinefunction"},
    "itertools": {"batched"},
    "math": {"cbrt", "exp2", "fma", "sumprod"},
    "operator": {"call"},
    "os": {"process_cpu_count"},
    "sys": {"exception", "monitoring"},
    "threading": {"setprofile_all_threads", "settrace_all_threads"},
    "typing": {
        *("LiteralString", "Never", "NotRequired", "ReadOnly", "Required", "Self", "TypeAliasType", "TypeIs"),
        *("TypeVarTuple", "Unpack", "assert_never", "assert_type", "dataclass_transform", "override", "reveal_type"),
    },
    "warnings": {"deprecated"},
}
"""Names added to the standard library in Python 3.11 to 3.13 that such code might use."""


def newer(tree):
    """Features that a module uses and Python 3.10 lacks, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=module, names=names):
                found = {each.name for each in names} & NEWER.get(module, set())
            case ast.Import(names=names):
                found = {each.name for each in names} & {"tomllib"}
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                found = {name} & NEWER.get(module, set())
            case ast.AnnAssign(annotation=ast.Name(id="ClassVar")):  # bare, pydantic cannot resolve it on Python 3.10
                found = {"ClassVar"}
            case _:
                continue
        yield from ((node.lineno, name) for name in sorted(found))


def test_nothing_needs_a_newer_python():
    trees = {path: ast.parse(path.read_text(encoding="utf-8"), path, feature_version=OLDEST) for path in SOURCES}
    assert [(str(path.relative_to(ROOT)), *found) for path, tree in trees.items() for found in newer(tree)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import datetime\ndatetime.UTC",
        "from enum import StrEnum",
        "import json, tomllib",
        "from typing import Any, Self",
        "class Trial:\n    work: ClassVar = 1",
    ],
)
def test_newer_names_are_found(source):
    assert [line for line, _ in newer(ast.parse(source))] == [source.count("\n") + 1]


def test_every_module_can_be_imported():
    for name in FILES:
        if not name.endswith("__main__"):
            importlib.import_module(name)
