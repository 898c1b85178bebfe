"""Pages as a browser shows them."""

import functools
import os
import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest
from everykind import KINDS, RECORDS, run_record
from playwright.sync_api import sync_playwright
from records import arm, record, survival, traced

from loop_bench.experiments import registry
from loop_bench.experiments.syncs.record import HostSyncs, ReadSite
from loop_bench.report import html
from loop_bench.report.report import Tone

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
MARKUP = "<script>document.title = 'ran'</script><b>&amp;</b>"

CELLS = """() => [...document.querySelectorAll("tbody th, tbody td")].filter(cell => cell.textContent).map(cell => {
  const row = [...cell.parentElement.children], name = getComputedStyle(cell, "::before");
  const columns = cell.closest("table").querySelectorAll("thead th");
  return {column: columns[row.indexOf(cell)].textContent, shown: name.content, size: parseFloat(name.fontSize),
          display: name.display, visible: cell.checkVisibility()};
})"""
"""Of each cell that is not empty: the name of its column, and what stands before it."""

WIDER = """() => [...document.querySelectorAll("body *")].filter(each => !each.ownerSVGElement)
  .filter(each => each.getBoundingClientRect().right > innerWidth + 0.5 || each.scrollWidth > each.clientWidth + 1
          && getComputedStyle(each).display !== "inline")
  .map(each => each.tagName + ": " + each.textContent.slice(0, 60))"""
"""What is cut off, or must be scrolled to be read."""

CONTRASTS = """() => {
  const channels = color => color.match(/[\\d.]+/g).map(Number);
  const luminance = color => channels(color).slice(0, 3).map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if ((channels(color)[3] ?? 1) > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  for (const each of document.querySelectorAll("body *")) {
    const own = [...each.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!own || !each.checkVisibility()) continue;
    const inSvg = each instanceof SVGElement;
    for (const part of inSvg ? [null] : [null, "::before"]) {
      const style = getComputedStyle(each, part);
      found.push(ratio(inSvg ? style.fill : style.color, ground(each)));
    }
  }
  return {least: Math.min(...found), texts: found.length, ground: luminance(ground(document.body))};
}"""
"""Of texts against what is behind them, as WCAG 2.2 has it."""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        why = "no Chromium is here: apt-get install chromium"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def of(record):
    return html.page(registry.report(record))


@functools.cache
def page_of(kind):
    return of(RECORDS[kind]())


@pytest.fixture
def show(browser, tmp_path):
    """Shows a page; afterwards nothing else was asked for, and the browser had nothing to complain of."""
    contexts, asked, complaints = [], [], []

    def show(text, viewport=PHONE, scheme="light"):
        path = tmp_path / "page.html"
        path.write_text(text)
        contexts.append(browser.new_context(viewport=viewport, is_mobile=viewport is PHONE, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.route(re.compile("^(?!file:|data:)"), lambda route: route.abort())
        page.goto(path.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith("data:")} == {(tmp_path / "page.html").as_uri()}
    assert complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_phone_nothing_is_cut_off_and_every_cell_says_what_it_is(show, kind):
    page = show(page_of(kind))
    assert page.evaluate("innerWidth") == PHONE["width"]  # and not that of a desktop made small
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(WIDER) == []
    assert not page.locator("thead").first.is_visible()
    cells = page.evaluate(CELLS)
    assert cells
    for cell in cells:
        assert cell["visible"]
        assert cell["shown"] == (f'"{cell["column"]}"' if cell["column"] else "none")
        assert not cell["column"] or (cell["display"] != "none" and cell["size"] >= 12)


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_desktop_tables_are_tables(show, kind):
    page = show(page_of(kind), DESKTOP)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(WIDER) == []
    assert all(each.is_visible() for each in page.locator("thead").all())
    assert {cell["shown"] for cell in page.evaluate(CELLS)} == {"none"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_there_and_are_told(show, kind):
    page = show(page_of(kind))
    drawn = page.evaluate(
        "[...document.querySelectorAll('figure svg')].map(each => [each.getBoundingClientRect().width, "
        "each.getAttribute('aria-label'), each.querySelectorAll('path, use').length])"
    )
    captions = [each.caption for each in registry.report(RECORDS[kind]()).pictures]
    assert [alt for _, alt, _ in drawn] == captions
    assert all(width > 300 and marks > 10 for width, _, marks in drawn)
    names = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(names) == len({*names})
    assert page.locator("figcaption").all_inner_texts() == captions


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(show, viewport, scheme):
    found = show(page_of("run"), viewport, scheme).evaluate(CONTRASTS)
    assert found["least"] >= 4.5  # WCAG 2.2, success criterion 1.4.3
    assert found["texts"] > 20
    assert (found["ground"] < 0.1) == (scheme == "dark")


@pytest.mark.slow
def test_what_a_reader_must_know_is_there(show):
    page = show(page_of("run"))
    assert page.title() == "loop-bench: run"
    assert page.locator("h1").all_inner_texts() == ["loop-bench run"]
    shown = registry.report(run_record())
    headings = [table.heading for table in shown.tables]
    assert page.locator("h2").all_inner_texts() == [*headings, "Conditions", "What the words mean"]
    (headline,) = shown.headlines
    assert page.locator(".headline").all_inner_texts() == [f"{headline.word}: {headline.text}"]
    assert page.locator(".facts dt").all_inner_texts() == [fact.name for fact in shown.facts]
    assert page.locator(".facts dd").all_inner_texts() == [fact.text for fact in shown.facts]


def test_the_answer_stands_before_the_picture_and_that_before_the_rows(show):
    page = show(page_of("run"), DESKTOP)
    tops = [page.locator(each).first.bounding_box()["y"] for each in (".headline", "figure", "table", ".facts")]
    assert tops == sorted(tops)
    assert tops[2] < DESKTOP["height"]  # the first rows are on the screen


@pytest.mark.slow
def test_pictures_follow_the_colours_of_the_page(show):
    line = "getComputedStyle(document.querySelector('figure svg [style*=\"stroke: var(--before\"]')).stroke"
    colours = [show(page_of("run"), DESKTOP, scheme).evaluate(line) for scheme in ("light", "dark")]
    assert colours == ["rgb(179, 84, 30)", "rgb(240, 146, 90)"]


@pytest.mark.slow
def test_doubts_are_on_the_page(show):
    drifting = record(arms={"before": arm("a:b", traced=(traced(),))})
    doubts = registry.report(drifting).doubts
    assert doubts
    assert show(of(drifting)).locator(".doubts li").all_inner_texts() == [*doubts]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tone", "made", "colours"),
    [
        (Tone.GOOD, record, ["rgb(17, 99, 41)", "rgb(86, 211, 100)"]),
        (Tone.BAD, lambda: that_says("broken"), ["rgb(164, 14, 38)", "rgb(255, 140, 133)"]),
    ],
    ids=["good", "bad"],
)
def test_the_word_of_a_headline_has_the_colour_of_its_tone(show, tone, made, colours):
    made = made()
    assert registry.report(made).headlines[0].tone == tone
    colour = "getComputedStyle(document.querySelector('.headline strong')).color"
    assert [show(of(made), DESKTOP, scheme).evaluate(colour) for scheme in ("light", "dark")] == colours


@pytest.mark.slow
def test_a_word_leads_to_what_it_means(show):
    page = show(page_of("run"))
    link = page.locator(".facts a").first
    assert link.inner_text() == "host sync"
    link.click()
    assert page.evaluate("document.querySelector(':target').textContent") == "host sync"


@pytest.mark.slow
def test_lines_beyond_the_first_are_folded_and_open(show):
    page = show(of(with_lines(9)), DESKTOP)
    rows = page.locator("details tbody tr")
    assert page.locator("summary").inner_text() == "4 more"
    assert rows.count() == 4
    assert not rows.first.is_visible()
    page.locator("summary").click()
    assert rows.first.is_visible()


@pytest.mark.slow
def test_on_paper_nothing_is_folded(show):
    page = show(of(with_lines(9)), {"width": 794, "height": 1123})
    page.emulate_media(media="print")
    rows = page.locator("details tbody tr")
    assert rows.count() == 4
    assert all(row.bounding_box()["height"] > 10 for row in rows.all())
    assert all(cell.evaluate("each => each.checkVisibility()") for cell in rows.locator("th, td").all())
    assert not page.locator("summary").is_visible()


@pytest.mark.slow
def test_on_paper_tables_are_tables_on_a_white_ground(show):
    page = show(page_of("run"), {"width": 794, "height": 1123}, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert all(each.is_visible() for each in page.locator("thead").all())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def with_lines(count):
    """A record of a loop that reads in so many lines."""
    sites = tuple(
        ReadSite(route="numpy", file="f.py", line=line, source="x.numpy()", reads=1, nbytes=4, seconds=0.1, waits=0,
                 waited=0.0)
        for line in range(count)
    )  # fmt: skip
    return record(arms={"before": arm("a:b", host_syncs=HostSyncs(batches=10, sites=sites))})


def that_says(text):
    """A record of a loop in whose source, errors and problems there is such a text."""
    site = ReadSite(route="numpy", file="f.py", line=1, source=text, reads=1, nbytes=4, seconds=0.1, waits=0,
                    waited=0.0)  # fmt: skip
    died = survival("crashed", reason=text)
    before = arm("a:b", host_syncs=HostSyncs(batches=10, sites=(site,)), survivals=(died,))
    return record(arms={"before": before}, problems=(text,))


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_long_word_gives_way(show, viewport):
    page = show(of(that_says("x" * 300)), viewport)
    assert page.evaluate(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_texts_of_a_program_are_shown_and_not_run(show):
    page = show(of(that_says(MARKUP)))
    assert page.title() == "loop-bench: run"
    assert page.locator("script, b").count() == 0
    assert MARKUP in page.locator(".headline").inner_text()  # the problem
    cells = page.locator("td").all_inner_texts()
    assert any(text.endswith(MARKUP) for text in cells if "crashed" not in text)  # the source
    assert f"crashed: {MARKUP}" in cells


@pytest.mark.parametrize("kind", ["run", "ladder"])
def test_the_same_record_makes_the_same_page(kind):
    assert of(RECORDS[kind]()) == page_of(kind)


def test_pictures_are_inside_and_nothing_is_elsewhere():
    text = page_of("ladder")
    (picture,) = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert not re.findall(r'(?:src|href|action)="(?!data:|#)|@import|url\((?!#)', text)
