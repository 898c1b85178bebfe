import json

import pytest


@pytest.fixture(scope="module")
def versions(load_script):
    return load_script("versions/table.py")


@pytest.fixture
def done(versions, tmp_path):
    """A command that has ended, which left these records."""

    def make(out="", code=0, **records):
        for name, record in records.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".json").write_text(json.dumps(record))
        return versions.Done(code, out, "", tmp_path)

    return make


SURVIVALS = {"before": [{"outcome": "crashed"}, {"outcome": "frozen"}], "after": [{"outcome": "skipped"}]}
FATES = "before: crashed, frozen; after: skipped"


def test_cells(versions, done):
    capabilities = json.dumps({"numpy": "", "float": "", "dlpack": "since TensorFlow 2.20"})
    assert versions.routes(done(capabilities)) == "2 of 3; dlpack: since TensorFlow 2.20"
    assert versions.reads(done('{"sites": [{"reads": 3}, {"reads": 4}]}')) == "7 reads"
    assert versions.tests(done("...\n== 9 passed, 2 skipped in 3.21s (0:00:03) ==\n")) == "9 passed, 2 skipped"
    assert versions.fates(done(out__survival={"survivals": SURVIVALS})) == FATES
    found = {"after": {"reason": "bit for bit the same"}}
    assert versions.equivalence(done(out__equivalence={"found": found})) == "bit for bit the same"
    arms = {arm: {"survivals": runs} for arm, runs in SURVIVALS.items()}
    run = done("1 passed\nfaster: 2×\ndoubt: of it\n", runs__a={"arms": arms})
    assert versions.verdict(run) == f"faster: 2×; {FATES}"


def test_the_reason_of_a_command_that_fails_is_its_cell(versions, tmp_path):
    environment = versions.Environment(versions.ENVIRONMENTS[0], tmp_path)
    program = tmp_path / "tensorflow-2.16-python-3.11" / "bin" / "program"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho begun; echo no such thing >&2; exit $CODE\n")
    program.chmod(0o755)
    environment.check(versions.Check("a", ("program",), variables={"CODE": "1"}))
    environment.check(versions.Check("b", ("program",), variables={"CODE": "0"}))
    assert environment.cells == {"a": "**no**: no such thing", "b": "yes"}


def test_a_column_for_each_environment_and_a_row_for_each_check(versions, tmp_path):
    environments = [versions.Environment(each, tmp_path) for each in versions.ENVIRONMENTS]
    path = tmp_path / "tensorflow-2.18-python-3.12.json"
    path.write_text(json.dumps({"`doctor`": "yes"}))
    table = versions.table(environments)
    assert table.columns[:3] == ["", "TensorFlow 2.16, Python 3.11", "TensorFlow 2.18, Python 3.12"]
    rows = {title: cells for title, *cells in table.rows}
    assert rows["`doctor`"] == ["not run", "yes", *["not run"] * (len(environments) - 2)]
    assert {check.title for check in versions.CHECKS} < {*rows}


def test_rows_have_names_of_their_own(versions):
    titles = [check.title for check in versions.CHECKS]
    assert len({*titles}) == len(titles)
