import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from loop_bench import report
from loop_bench.report import inline, plots

BENCH = Path(report.__file__).parents[1]
DRAWING = [*sorted(BENCH.rglob("*plots.py")), *sorted((BENCH / "experiments").glob("*/report.py"))]
CODE = "x = '#ffffff'  # fill: #000000 <b>"


@pytest.fixture(scope="module")
def drawn():
    figure = plots.figure(2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], clip_on=True, **plots.LOOKS["before"])
    axes.plot([0, 1], [1, 0], color="#123456")
    axes.set_title(CODE, parse_math=False)
    return plots.svg(figure)


@pytest.fixture
def svg(drawn):
    return inline.svg(drawn, "times", 'say "1 < 2"')


def test_it_is_a_part_of_a_page(svg):
    root = ElementTree.fromstring(svg)
    assert svg.startswith("<svg ")
    assert (root.get("role"), root.get("aria-label")) == ("img", 'say "1 < 2"')
    assert root.get("width") is None
    assert root.get("height") is None
    assert root.get("viewBox")
    assert "<style" not in svg  # would hold for the whole page
    assert "matplotlib.org" not in svg


def test_colours_are_those_of_the_page(svg):
    assert "stroke: var(--before, #b3541e)" in svg
    assert "fill: var(--ground, #ffffff)" in svg
    assert "stroke: #123456" in svg  # none that the page has


def test_texts_stay_as_they_are(svg):
    texts = [each.text for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("text")]
    assert CODE in texts


def test_names_are_of_this_picture_and_every_reference_has_one(svg):
    names = re.findall(r' id="([^"]+)"', svg)
    referred = {name for _, name in re.findall(r'(url\(|href=")#([^")]+)', svg)}
    assert referred
    assert {*names} == referred
    assert all(name.startswith("times-") for name in names)


def test_every_colour_of_the_looks_is_one_of_the_page():
    assert {look["color"] for look in plots.LOOKS.values()} <= inline.COLOURS.keys()


def literals(path):
    """The colours that a program names by their hexadecimal digits."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"#[0-9a-fA-F]{6}\b", node.value)


def test_every_colour_that_is_drawn_is_one_of_the_page():
    found = {(path.relative_to(BENCH).as_posix(), colour) for path in DRAWING for colour in literals(path)}
    assert len({name for name, _ in found}) >= 5
    assert {each for each in found if each[1] not in inline.COLOURS} == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_every_colour_in_both_schemes(scheme):
    text = (BENCH / "report" / "templates" / "report.html").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    defined = re.findall(r"(--[\w-]+): #[0-9a-f]{3,6};", {"light": light, "dark": dark}[scheme])
    assert {*inline.COLOURS.values()} <= {*defined}
