import re
import xml.etree.ElementTree as ElementTree

import pytest

from loop_bench.report import inline, plots

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
