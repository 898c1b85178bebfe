import math

import pytest
from pydantic import TypeAdapter, ValidationError
from records import record

from loop_bench import document
from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments.run.record import SCHEMA, Record


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no whole record"),
        (b'{"schema_version": 5, "created"', "no whole record"),
        (b'{"schema_version": 1}', f"is of schema 1, and this version reads {SCHEMA}; run again"),
        (f'{{"schema_version": {SCHEMA}}}'.encode(), "no whole record (created: Field required)"),
        (b'{"kind": "ladder", "schema_version": 2}', "is of kind 'ladder', but 'run' is needed here"),
        (b"[]", "the file"),
        (b"\xff", "no whole record"),
    ],
)
def test_unreadable_record_is_one_line(tmp_path, content, says):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(InvalidRecordError) as caught:
        Record.read(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_record(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json: cannot be read \(No such file") as caught:
        Record.read(tmp_path / "none.json")
    assert not isinstance(caught.value, InvalidRecordError)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"folder .*file: cannot be written"):
        record().write(tmp_path / "file")


def test_a_file_says_first_what_it_is(tmp_path):
    path = record().write_as(tmp_path / "r.json")
    assert [line.split(":")[0].strip() for line in path.read_text().splitlines()[1:3]] == ['"kind"', '"schema_version"']


ANY = [-1, 0, 1, 0.5, math.inf, math.nan]


def taken(kind):
    adapter = TypeAdapter(kind)

    def is_taken(value):
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    return [value for value in ANY if is_taken(value)]


@pytest.mark.parametrize(("kind", "values"), [("Seconds", [1, 0.5]), ("NotNegative", [0, 1, 0.5]), ("Count", [0, 1])])
def test_what_they_can_be(kind, values):
    assert taken(getattr(document, kind)) == values
