"""Python in the documentation compiles, and what it takes from loop_bench is there."""

import ast
import importlib
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
FENCED = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks():
    """Each with the page and the line that it begins at."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in FENCED.finditer(text):
            line = text.count("\n", 0, found.start()) + 2
            yield pytest.param(textwrap.dedent(found[1]), id=f"{page.relative_to(ROOT)}:{line}")


BLOCKS = [*blocks()]


def missing(source):
    """The names that a program takes from loop_bench and that are not there; also those of its modules."""
    tree = ast.parse(source)
    modules, found = {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in (alias for alias in node.names if alias.name.partition(".")[0] == "loop_bench"):
                module = importlib.import_module(name.name)
                modules[name.asname or name.name] = module
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "loop_bench":
            module = importlib.import_module(node.module)
            for name in node.names:
                if not hasattr(module, name.name):
                    found.append(f"{node.module}.{name.name}")
                modules[name.asname or name.name] = getattr(module, name.name, None)
    attributes = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    of_modules = [(node.value.id, node.attr) for node in attributes if node.value.id in modules]
    return found + [f"{name}.{attribute}" for name, attribute in of_modules if not hasattr(modules[name], attribute)]


@pytest.mark.parametrize("block", BLOCKS)
def test_it_compiles_and_its_names_are_there(block):
    assert missing(block) == []


def test_some_are_found():
    assert len(BLOCKS) > 10
    assert sum("loop_bench" in block.values[0] for block in BLOCKS) > 3


def test_a_name_that_is_not_there_is_noticed():
    source = "from loop_bench import loops, nothing\nloops.from_step(nothing)\nloops.from_nothing()\n"
    assert missing(source) == ["loop_bench.nothing", "loops.from_nothing"]
