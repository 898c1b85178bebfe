"""Checks that every picture must pass, for tests of pictures."""

import xml.etree.ElementTree as ElementTree

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from loop_bench.report import plots

PHONE = 6.0  # inches
SMALLEST = 8.0  # points at that width


def texts(figure):
    """All texts in a figure."""
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def assert_legible(figure):
    """Asserts a white background, no text too small or beyond the edge, and no formula made from a user's name."""
    FigureCanvasAgg(figure).draw()
    assert figure.get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    for text in texts(figure):
        assert text.get_fontsize() * PHONE / figure.get_figwidth() >= SMALLEST, text
    renderer = figure._get_renderer()
    within = figure.get_tightbbox(renderer).padded(-0.01)
    assert within.x0 >= 0
    assert within.y0 >= 0
    assert within.x1 <= figure.get_figwidth()
    assert within.y1 <= figure.get_figheight()
    for text in (text for axes in figure.axes for text in axes.texts):
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text


def assert_whole(picture):
    """Asserts that a picture's files have the formats of their suffixes, and that its caption is a sentence."""
    drawn = picture.draw()
    assert plots.png(drawn).startswith(b"\x89PNG")
    assert ElementTree.fromstring(plots.svg(drawn)).tag.endswith("svg")
    assert picture.caption.endswith(".")
