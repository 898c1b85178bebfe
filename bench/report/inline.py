"""Pictures inside a page: matplotlib's SVG with names of its own, in the colours of the page around it."""

from __future__ import annotations

import re
from html import escape

COLOURS = {
    "#ffffff": "--ground",
    "#000000": "--text",
    "#333333": "--text",
    "#666666": "--faint",  # the null arm
    "#777777": "--faint",
    "#b0b0b0": "--line",  # matplotlib's grid
    "#cccccc": "--line",  # and the frame of its legend
    "#d9d9d9": "--line",
    "#b3541e": "--before",
    "#1f5fa8": "--after",
    "#f4b896": "--before-bar",
    "#9dc3e6": "--after-bar",
    "#3a7d44": "--third",
    "#6b4c9a": "--fourth",
}
"""Colours of pictures and the variables of the page that take their place; others stay as they are."""

_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)  # XML declaration and document type
_LEFT_OUT = re.compile(r"\s*<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)  # the page has its own style
_SIZE = re.compile(r' (?:width|height)="[^"]*"')
_TAG = re.compile(r"<[^>]+>")  # texts have no such characters: they are escaped
_ID = re.compile(r' id="([^"]+)"')
_REFERENCE = re.compile(r'(url\(|href=")#([^")]+)')
_COLOUR = re.compile(r"((?:fill|stroke)(?:: |=\"))(#[0-9a-fA-F]{6})\b")


def svg(drawn: bytes, stem: str, caption: str) -> str:
    """An SVG as a part of a page, as wide as the page lets it be.

    Args:
        drawn: as `plots.svg` gives it.
        stem: of the picture; the names in it begin so, since a page must not have a name twice.
        caption: for readers who cannot see it.
    """
    text = _LEFT_OUT.sub("", _HEAD.sub("", drawn.decode(), count=1))
    named = {name for tag in _TAG.findall(text) for _, name in _REFERENCE.findall(tag)}

    def tag(found: re.Match[str]) -> str:
        """A tag without names that nothing refers to, and in the colours of the page."""
        changed = _ID.sub(lambda name: f' id="{stem}-{name[1]}"' if name[1] in named else "", found[0])
        changed = _REFERENCE.sub(rf"\1#{stem}-\2", changed)
        return _COLOUR.sub(lambda colour: f"{colour[1]}{_of_page(colour[2].lower())}", changed)

    opening = _TAG.search(text)
    assert opening
    first = _SIZE.sub("", opening[0]).replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
    return first + _TAG.sub(tag, text[opening.end() :])


def _of_page(colour: str) -> str:
    variable = COLOURS.get(colour)
    return f"var({variable}, {colour})" if variable else colour
