"""The pages about host syncs show what the tests and the committed outputs say."""

import re
from pathlib import Path

import pytest
import routes_table

ROOT = Path(__file__).parents[2]
ROUTES = routes_table.PAGE.read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "how-to" / "host-syncs.md").read_text(encoding="utf-8")
FINDINGS = (ROOT / "docs" / "findings" / "host-syncs.md").read_text(encoding="utf-8")
OUTPUTS = re.findall(r"<!-- from (\S+) -->\n\n(.*?)\n\n<!-- end -->", GUIDE, re.DOTALL)
COST = (ROOT / "results" / "hostsync" / "epyc-9004-2-cores" / "cost.md").read_text(encoding="utf-8")


def test_the_tables_of_routes_are_those_of_the_tests():
    (section,) = routes_table.MARK.finditer(ROUTES)
    assert routes_table.render() in section[0], "python tests/routes_table.py makes them anew"


def test_there_are_outputs():
    assert len(OUTPUTS) == GUIDE.count("<!-- end -->") == 3


@pytest.mark.parametrize(("file", "output"), OUTPUTS)
def test_an_output_is_what_its_file_has(file, output):
    assert output.strip("`\n") in (ROOT / file).read_text(encoding="utf-8")


def test_what_recording_costs_is_what_its_file_has():
    rows = [line for line in FINDINGS.splitlines() if line.startswith(("| a training step", "| eager", "| `t.numpy"))]
    assert len(rows) == 3
    assert all(row in COST for row in rows)
