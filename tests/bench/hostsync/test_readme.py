import re
from pathlib import Path

import pytest
import routes_table

ROOT = Path(__file__).parents[3]
README = routes_table.README.read_text(encoding="utf-8")
OUTPUTS = re.findall(r"<!-- from (\S+) -->\n\n(.*?)\n\n<!-- end -->", README, re.DOTALL)


def test_the_tables_of_routes_are_those_of_the_tests():
    (section,) = routes_table.MARK.finditer(README)
    assert routes_table.render() in section[0], "python tests/routes_table.py makes them anew"


def test_there_are_outputs():
    assert len(OUTPUTS) == README.count("<!-- end -->") == 3


@pytest.mark.parametrize(("file", "output"), OUTPUTS)
def test_an_output_is_what_its_file_has(file, output):
    assert output.strip("`\n") in (ROOT / file).read_text(encoding="utf-8")
