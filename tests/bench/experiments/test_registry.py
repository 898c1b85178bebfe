import json
import subprocess
import sys
from pathlib import Path

import pytest
from everykind import RECORDS
from parts import facts, tables
from records import record

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments import registry
from loop_bench.jobs.machines import Machine, RanOn

ROOT = Path(__file__).parents[3]


def test_there_is_a_record_of_each():
    assert {*registry.KINDS} == {*RECORDS}


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_file_says_of_what_kind_it_is(kind, tmp_path):
    made = RECORDS[kind]()
    found = registry.read(made.write_as(tmp_path / "any.json"))
    assert type(found) is type(made)
    assert found.model_dump_json() == made.model_dump_json()  # text for text: NaN is not equal to itself
    assert json.loads(made.model_dump_json())["kind"] == kind


@pytest.mark.parametrize("kind", registry.KINDS)
def test_each_has_a_report(kind):
    made = registry.report(RECORDS[kind]())
    assert made.title == kind
    assert made.tables
    for table in made.tables:
        assert table.title
        assert len(table.frame)
        assert table.frame.map(lambda text: isinstance(text, str)).all(axis=None)
    assert len({*tables(made)}) == len(made.tables)
    assert made.headlines
    assert all(each.word and each.text for each in made.headlines)
    assert all(each.name and each.text for each in made.facts)
    assert facts(made)["settings"].startswith("preset tiny, seed")
    assert facts(made)["machine"] == "2 cores of a CPU"
    assert facts(made)["versions"].startswith("TensorFlow 2.21.0")
    assert [each.name for each in made.facts][-3:] == ["machine", "versions", "commit"]
    assert made.numbers["value"].notna().all()
    assert (made.numbers[["figure", "loop", "unit"]] != "").all(axis=None)
    assert {*made.numbers["interval"]} <= {"", "quartiles", "95%", "5% to 95%"}
    bounded = made.numbers[made.numbers["interval"] != ""].astype({"low": float, "high": float})
    assert ((bounded["low"] <= bounded["value"]) & (bounded["value"] <= bounded["high"])).all()
    stems = [each.stem for each in made.pictures]
    assert len({*stems}) == len(stems)
    assert all(each.caption.endswith(".") for each in made.pictures)


@pytest.mark.parametrize("kind", ["ladder", "sweep", "convergence", "survival"])
def test_of_trials_of_a_cluster_the_machines_are_a_table(kind):
    made = RECORDS[kind]()
    ran = [RanOn(machine=Machine(host=host, environment=made.environment), trials=("one", "two")) for host in "ab"]
    shown = registry.report(made.model_copy(update={"ran_on": tuple(ran)}))
    assert shown.tables[-1].title == "machines that the trials ran on"
    assert list(shown.tables[-1].frame["host"]) == ["a", "b"]
    assert facts(shown)["machines"] == "trials ran on 2 machines of a cluster"
    assert "machine" not in facts(shown)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no whole record (no JSON object)"),
        ('{"kind": "run"', "no whole record (no JSON object)"),
        ("[1]", "no whole record (no JSON object)"),
        ('"run"', "no whole record (no JSON object)"),
        ("7", "no whole record (no JSON object)"),
        ('{"schema_version": 5}', "lacks the field kind; run again for a new record"),
        ('{"kind": "leap"}', f"unknown kind 'leap'; known kinds: {', '.join(registry.KINDS)}"),
        ('{"kind": ["run"]}', f"unknown kind ['run']; known kinds: {', '.join(registry.KINDS)}"),
        ('{"kind": "ladder", "schema_version": 1}', "is of schema 1, and this version reads"),
        ('{"kind": "run", "schema_version": 6}', "no whole record (created: Field required)"),
    ],
)
def test_what_is_no_whole_record_is_one_line(tmp_path, content, says):
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(InvalidRecordError) as caught:
        registry.read(path)
    assert str(caught.value).startswith(f"record {path}: {says}")
    assert "\n" not in str(caught.value)


def test_a_missing_record_is_told_apart(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json: cannot be read \(No such file") as caught:
        registry.read(tmp_path / "none.json")
    assert not isinstance(caught.value, InvalidRecordError)


def test_a_run_is_read_without_what_makes_the_others(tmp_path):
    path = record().write_as(tmp_path / "run.json")
    others = (
        "tensorflow",
        "loop_bench.experiments.ladder.record",
        "loop_bench.experiments.sweep.record",
        "loop_bench.experiments.profile.record",
    )
    script = f"""
import pathlib, sys
from loop_bench.experiments import registry
assert registry.report(registry.read(pathlib.Path({str(path)!r}))).title == "run"
assert not [name for name in {others} if name in sys.modules]
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
