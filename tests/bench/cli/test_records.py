import json

import pytest
from records import record

from loop_bench.records import references


@pytest.fixture
def write(tmp_path):
    return lambda **changes: record(**changes).write(tmp_path / "runs")


@pytest.mark.parametrize(
    ("changes", "arguments", "code", "line"),
    [
        ({"noise": 0}, [], 0, "passed: after takes -50.0% ms/batch"),
        ({"after": 0.09, "noise": 0}, [], 1, "failed: after takes +50.0% ms/batch"),
        ({"after": 0.06, "noise": 0.5}, [], 3, "inconclusive: after takes"),
        ({"problems": ("after: no weight has moved",)}, [], 4, "invalid: the record: after: no weight has moved"),
        ({}, ["--max-syncs", "0.01"], 1, "failed: after makes 0.1 host syncs a batch (limit 0.01)"),
        ({}, ["--min-speedup", "3"], 1, "failed: before/after is 2.0"),
        ({}, ["--max-slowdown", "5"], 2, "--max-slowdown '5': must be a percentage"),
        ({}, ["--max-syncs", "-1"], 2, "Invalid value"),
        ({}, ["--reference", "none.json"], 2, "record none.json: cannot be read"),
    ],
)
def test_gate_exit_codes(run, write, changes, arguments, code, line):
    found, out, err = run("gate", write(**changes), *arguments)
    assert found == code
    assert line in (out + err)
    assert "Traceback" not in err


def test_gate_against_a_reference_and_a_folder_of_them(run, write, tmp_path):
    references.accept(record(), tmp_path / "results")
    slower = write(after=0.036, seed=1)
    for reference in (write(), tmp_path / "results"):
        code, out, _ = run("gate", slower, "--reference", reference)
        assert code == 1
        assert "compared with in the reference" in out
    assert run("gate", write(seed=1), "--reference", tmp_path / "results")[0] == 0
    code, out, _ = run("gate", write(environment={"cores": 9}), "--reference", tmp_path / "results")
    assert (code, out.startswith("invalid: reference")) == (4, True)


def without_an_arm():
    found = json.loads(record().model_dump_json())
    del found["arms"]["after"]
    return json.dumps(found).encode()


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"schema_version": 1}', record().model_dump_json().encode()[:5000], without_an_arm()]
)
def test_gate_on_a_broken_record_is_invalid(run, tmp_path, content):
    (tmp_path / "broken.json").write_bytes(content)
    code, out, _ = run("gate", tmp_path / "broken.json")
    assert code == 4
    assert out.startswith("invalid: record ")
    assert out.count("\n") == 1


def test_gate_for_machines(run, write):
    code, out, _ = run("gate", write(after=0.09), "--json", "--max-syncs", "1")
    found = json.loads(out, parse_constant=pytest.fail)
    assert (found["outcome"], found["exit_code"], code) == ("failed", 1, 1)
    slowdown, syncs = found["checks"]
    assert slowdown["low"] < 0.5 < slowdown["high"]
    assert (slowdown["limit"], syncs["outcome"]) == (0.05, "passed")


def test_gate_inside_github_actions(run, write, tmp_path, monkeypatch):
    path = write(after=0.09, noise=0)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    _, out, err = run("gate", path)
    assert err.startswith("::error title=loop-bench gate::failed: after takes +50.0%25 ms/batch")
    assert out.startswith("failed")
    assert "| slowdown | failed    | after takes +50.0%" in (tmp_path / "summary.md").read_text()


def test_compare(run, write):
    code, out, _ = run("compare", write(noise=0), write(noise=0, after=0.036))
    assert code == 0
    for text in ("ms/batch, after", "+20.0%", "time before / time after", "host syncs a batch, before", "same"):
        assert text in out
    code, out, _ = run("compare", write(), write(environment={"gpus": ["H100"]}, seed=1))
    assert "not comparable" in out
    assert "GPU H100, there none" in out


def test_compare_with_a_broken_record(run, write, tmp_path):
    (tmp_path / "broken.json").touch()
    code, _, err = run("compare", write(), tmp_path / "broken.json")
    assert (code, err.count("\n")) == (4, 1)


def test_history(run, write, tmp_path):
    for day in range(12):
        write(minutes=day, after=0.03 if day < 6 else 0.06, seed=day)
    (tmp_path / "runs" / "zz.json").write_text("{}")
    code, out, err = run("history", tmp_path / "runs")
    assert code == 0
    (changed,) = (line for line in out.splitlines() if "ms/batch after, ratio" in line)
    assert "2026-01-02 03:10" in changed
    assert "left out: record" in err
    assert run("history", tmp_path / "none")[0] == 2


def test_accept(run, write, tmp_path):
    code, out, _ = run("accept", write(), "--results", tmp_path / "results")
    assert (code, out.startswith("new reference: ")) == (0, True)
    assert "verdict of the reference: faster: " in out
    assert run("accept", write(), "--results", tmp_path / "results")[1].startswith("replaced reference: ")
    code, _, err = run("accept", write(count=3), "--results", tmp_path / "results")
    assert (code, "cannot be a reference: cut short" in err) == (4, True)
    assert len([*(tmp_path / "results").rglob("*.json")]) == 1


def test_help_teaches(run):
    code, out, _ = run("gate", "--help")
    assert code == 0
    for text in ("inconclusive", "--max-slowdown", "Example", "accept"):
        assert text in out
