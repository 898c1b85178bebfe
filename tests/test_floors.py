"""Imports between the parts of the code, lazy ones too, follow the layers of docs/explanation/architecture.md."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASE = ("errors", "enums", "extras", "statistics", "clusters", "writing", "document", "source", "home")
OF_LOOPS = ("variables", "collectives")
PLACES = ("arms", "cluster")
BELOW = (*BASE, *OF_LOOPS, "origin", "failure", "loop", "machine", "settings", "jobs")
LOWER = (*BELOW, *PLACES, "multiworker", "timing", "report", "hostsync")
EXPERIMENTS = ("syncs", "equivalence", "profile", "survival", "telemetry", "run", "sweep", "ladder", "convergence")
ALL_EXPERIMENTS = tuple(f"experiments.{name}" for name in EXPERIMENTS)
MAY_KNOW = {
    **dict.fromkeys(BASE, ("errors",)),
    "document": ("errors", "writing"),
    "home": ("errors", "document"),
    "clusters": ("statistics",),
    "loops": ("errors", "source", "variables"),
    "origin": BASE,
    "failure": (*BASE, "origin"),
    **dict.fromkeys(OF_LOOPS, ()),
    "loop": (*BASE, *OF_LOOPS, "failure"),
    "machine": (*BASE, "failure", "loop"),
    **dict.fromkeys(("settings", "jobs"), (*BASE, "failure", "loop", "machine")),
    **dict.fromkeys((*PLACES, "report"), BELOW),
    "multiworker.task": BASE,
    "multiworker": (*BELOW, "arms", "multiworker.task"),
    "timing": (*BELOW, "multiworker.task"),
    "hostsync": ("errors", "source"),
    "hostsync.command": ("errors", "source", "hostsync", "machine", "report"),
    "experiments.experiment": LOWER,
    **{
        name: (*LOWER, "experiments.experiment", *ALL_EXPERIMENTS[:place]) for place, name in enumerate(ALL_EXPERIMENTS)
    },
    "experiments": (*LOWER, "experiments.experiment", *ALL_EXPERIMENTS),
    "pair": (*LOWER, "experiments"),
    "builtin": (*LOWER, "experiments", "pair", "seqgan", "baseline"),
    "seqgan": ("extras",),
    "baseline": ("seqgan",),
    "records": (*LOWER, "experiments"),
    "doctor": (*LOWER, "experiments"),
    "cli": (*LOWER, "doctor", "hostsync.command", "experiments", "pair", "builtin", "records"),
}
"""Other parts that each part of bench/ may import from; `x` stands for everything in x."""

FREE_OF_TENSORFLOW = ("plan", "record", "figures", "report")
"""Modules of an experiment that must work without TensorFlow: to read, draw and judge records."""


PACKAGES = {"bench": "loop_bench", "seqgan": "loop_bench.seqgan", "baseline": "loop_bench.baseline"}
"""Package of each folder, as given by the links in src/ and bench/."""


def module(path):
    folder, *parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES[folder], *(parts[:-1] if parts[-1] == "__init__" else parts)])


FILES = {module(path): path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))}
FILES = {name: path for name, path in FILES.items() if not path.name.startswith(("test_", "conftest"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imported(nodes):
    """Modules that statements import; for this package, the innermost module named."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if inside in FILES else node.module


IMPORTS = {name: {each for each in imported(ast.walk(tree)) if each in FILES} for name, tree in TREES.items()}


def part(name, rows=MAY_KNOW):
    """Row of the table for a module."""
    inside = name.removeprefix("loop_bench.")
    return max((row for row in rows if f"{inside}.".startswith(f"{row}.")), key=len, default=inside)


def may_know(one, other):
    own, its = part(one), part(other)
    return own == its or any(
        f"{its}.".startswith(f"{row}.") for row in MAY_KNOW[own] if row != "hostsync" or its == row
    )


def breaches():
    for name in sorted(FILES):
        for other in sorted(IMPORTS[name]):
            if part(name) in MAY_KNOW and not may_know(name, other):
                yield name, other


def test_arrows_point_down_only():
    assert not [*breaches()]


def test_every_module_has_its_row():
    free = ("loop_bench", "loop_bench.__main__")
    rows = {*MAY_KNOW, "examples"}
    assert [name for name in FILES if name not in free and part(name, rows) not in rows] == []


def test_nothing_imports_a_folder_by_its_own_name():
    """That would import a second copy of `loop_bench`, with classes of its own."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "tests").rglob("*.py"))}
    names = {name.partition(".")[0] for tree in (*TREES.values(), *trees.values()) for name in imported(ast.walk(tree))}
    assert "loop_bench" in names
    assert not names & {*PACKAGES}


def test_there_is_no_circle():
    graph = {name: others - {name} for name, others in IMPORTS.items()}
    graphlib.TopologicalSorter(graph).prepare()


def at_import(name, seen=()):
    """Modules that importing a module imports in turn."""
    tree = TREES[name]
    for each in imported(node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)):
        yield each
        if each in FILES and each not in seen:
            yield from at_import(each, (*seen, each))


@pytest.mark.parametrize("file", FREE_OF_TENSORFLOW)
def test_results_are_read_without_tensorflow(file):
    for name in ALL_EXPERIMENTS:
        module = f"loop_bench.{name}.{file}"
        if module in FILES:
            heavy = {each for each in at_import(module) if each.partition(".")[0] in ("tensorflow", "keras")}
            assert not heavy, f"{name}.{file} imports {heavy}"
