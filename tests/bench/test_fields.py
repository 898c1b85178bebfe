"""docs/reference/record.md has every field of every record, and no other."""

import collections
import importlib
import re
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from loop_bench.document import Document
from loop_bench.machine.environment import environment, state
from loop_bench.machine.processor import processor

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "record.md"


def records():
    """Every class of a record, wherever in bench/ it is."""
    for path in sorted((ROOT / "bench").rglob("*.py")):
        for name in re.findall(r"^class (\w+)\(Document\)", path.read_text(encoding="utf-8"), re.MULTILINE):
            inside = path.relative_to(ROOT / "bench").with_suffix("").parts
            yield getattr(importlib.import_module(".".join(("loop_bench", *inside))), name)


def values(annotation):
    """The classes of values that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {each for argument in typing.get_args(annotation) for each in values(argument)}


def within(found):
    """These classes, and those of all values inside them."""
    inside = {each for model in found for field in model.model_fields.values() for each in values(field.annotation)}
    return found if inside <= found else within(found | inside)


def sections():
    """The fields that the page has, by its headings."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"##+ `([\w.]+)`", line):
            rows = found.setdefault(heading[1], [])
        elif re.match(r"\| `(\w+)` \|", line):
            rows.append(line)
    return found


def named(rows):
    return [row.split("`")[1] for row in rows]


SECTIONS = sections()
MODELS = within({*records()})
SAME_NAMED = {name for name, count in collections.Counter(model.__name__ for model in MODELS).items() if count > 1}


def heading(model):
    """The name of a class; with its package where there are others of that name."""
    package = model.__module__.split(".")[-2]
    return f"{package}.{model.__name__}" if model.__name__ in SAME_NAMED else model.__name__


@pytest.mark.parametrize("model", sorted(MODELS, key=heading), ids=heading)
def test_of_each_value(model):
    assert heading(model) in SECTIONS, f"{PAGE.name} has no section of {heading(model)}"
    there, here = named(SECTIONS[heading(model)]), [*model.model_fields]
    assert sorted(there) == sorted(here), {"missing": {*here} - {*there}, "no field any more": {*there} - {*here}}


def test_there_is_no_other_section():
    assert {*SECTIONS} == {*map(heading, MODELS), "environment", "processor", "state"}


def test_of_the_environment():
    assert sorted(named(SECTIONS["environment"])) == sorted([*environment(), "state"])
    assert sorted(named(SECTIONS["processor"])) == sorted(processor())
    assert sorted(named(SECTIONS["state"])) == sorted(state())


def test_each_has_a_type_and_a_meaning_or_a_unit():
    for row in (row for rows in SECTIONS.values() for row in rows):
        _, _, kind, unit, meaning, _ = (cell.strip() for cell in row.split("|"))
        assert kind, row
        assert unit or meaning, row


def test_its_own_links_lead_somewhere():
    text = PAGE.read_text(encoding="utf-8")
    anchors = {re.sub(r"[^\w-]", "", heading.lower()) for heading in re.findall(r"^#+ (\S+)$", text, re.MULTILINE)}
    assert {*re.findall(r"\]\(#([\w-]+)\)", text)} <= anchors


def test_the_records_are_found():
    assert {model.__name__ for model in MODELS if issubclass(model, Document)} >= {"Record", "SurvivalRecord"}
