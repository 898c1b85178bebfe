import io
from pathlib import Path

import pytest
from records import record
from rich.console import Console

from loop_bench.cli import closing
from loop_bench.cli.closing import Closing
from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.run.record import Record
from loop_bench.records import references
from loop_bench.records.gate import Check, Decision, Limits, Outcome

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(autouse=True)
def _outside_of_github(monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def shown(closing):
    out = io.StringIO()
    closing.show(Console(file=out, width=200))
    return out.getvalue()


def test_record_table_and_verdict(tmp_path):
    closing = Closing.of(record(noise=0), tmp_path)
    assert closing.judge(None) == 0
    (path,) = tmp_path.glob("*.json")
    page, table = path.with_suffix(".html"), path.with_suffix(".md")
    assert Record.read(path) == record(noise=0)
    assert (tmp_path / f"{path.stem}-times.png").exists()
    assert table.read_text().startswith("**faster**: 2.0")
    assert "<strong>faster</strong>: 2.0" in page.read_text()
    for text in ("null arm", "faster: 2.0", f"written: {path}, and beside it: .md, .html"):
        assert text in shown(closing)
    assert "gate" not in shown(closing)


def test_a_slow_loop_is_a_result(tmp_path):
    assert Closing.of(record(after=0.09), tmp_path).judge(None) == 0


def test_a_loop_that_did_not_work_is_none_and_is_kept(tmp_path):
    closing = Closing.of(record(problems=("after: no weight has moved",)), tmp_path)
    assert closing.judge(None) == 4
    assert shown(closing).startswith("invalid: after: no weight has moved")
    assert len([*tmp_path.glob("*.json")]) == 1


def test_a_loop_that_computes_something_else_is_none(tmp_path):
    other = Equivalence(batches=5, options={}, equal=False, reason="loss is 1 and 2 in batch 0")
    assert Closing.of(record(equivalence=other), tmp_path).judge(None) == 4


FLAW = "survival: none of the 3 runs of after came to anything: no tape"


def test_a_stage_that_came_to_nothing_is_an_error_beside_the_record(tmp_path):
    closing = Closing.of(record(noise=0), tmp_path, (FLAW,))
    assert closing.judge(None) == 1
    assert len([*tmp_path.glob("*.json")]) == 1
    assert shown(closing).startswith("faster: ")
    assert shown(closing).splitlines()[-1] == f"error: {FLAW}"


def test_a_loop_that_did_not_work_is_graver(tmp_path):
    assert Closing.of(record(problems=("after: no weight has moved",)), tmp_path, (FLAW,)).judge(None) == 4


@pytest.mark.parametrize("after", [0.03, 0.09])
def test_no_gate_passes_what_came_to_nothing(tmp_path, after):
    closing = Closing.of(record(after=after), tmp_path, (FLAW,))
    assert closing.judge((Limits(), None)) == 4
    assert shown(closing).splitlines()[-1] == f"gate: invalid: {FLAW}"


def test_part_of_a_run_is_no_failure(tmp_path):
    assert Closing.of(record(rounds=(), rounds_ended=None), tmp_path).judge(None) == 0


@pytest.mark.parametrize(("after", "code"), [(0.03, 0), (0.09, 1)])
def test_the_gate_decides(tmp_path, after, code):
    closing = Closing.of(record(after=after), tmp_path)
    assert closing.judge((Limits(), None)) == code
    assert shown(closing).splitlines()[-1].startswith("gate: passed" if code == 0 else "gate: failed")


def test_the_gate_holds_it_against_the_reference(tmp_path):
    references.accept(record(), tmp_path)
    assert Closing.of(record(after=0.036, seed=1), tmp_path).judge((Limits(), tmp_path)) == 1
    closing = Closing.of(record(environment={"cores": 9}), tmp_path)
    assert closing.judge((Limits(), tmp_path)) == 4
    assert "the folder has no comparable reference" in shown(closing)
    assert closing.judge((Limits(), tmp_path / "none")) == 4  # gone since the run began


def test_a_folder_that_cannot_be_written_is_no_pass():
    closing = Closing.of(record(), Path("/dev/null/x"))
    assert closing.judge((Limits(), None)) == 2
    assert "written: nothing: folder" in shown(closing)


def publish(outcome, environment):
    log = io.StringIO()
    closing.publish(Decision((Check("slowdown", outcome, "5% more\nthan before"),)), log, environment)
    return log.getvalue()


@pytest.mark.parametrize(
    ("outcome", "level"), [(Outcome.FAILED, "error"), (Outcome.INVALID, "error"), (Outcome.INCONCLUSIVE, "warning")]
)
def test_an_annotation_for_what_did_not_pass(outcome, level):
    line = publish(outcome, {"GITHUB_ACTIONS": "true"})
    assert line == f"::{level} title=loop-bench gate::{outcome.name.lower()}: 5%25 more%0Athan before\n"


def test_none_for_what_did():
    assert publish(Outcome.PASSED, {"GITHUB_ACTIONS": "true"}) == ""


def test_the_summary_is_added_to(tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    publish(Outcome.PASSED, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(path)})
    assert path.read_text().startswith("before\n| check    | outcome   | why")
    assert "loop-bench gate: passed" in path.read_text()


def test_the_summary_has_verdict_table_interval_and_null_arm(tmp_path, monkeypatch):
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    Closing.of(record(), tmp_path).judge(None)
    text = path.read_text()
    for wanted in ("| ms/batch, median (quartiles)", "(null arm)", "(95%", "**faster**: "):
        assert wanted in text


def test_nothing_elsewhere(tmp_path):
    path = tmp_path / "summary.md"
    assert publish(Outcome.FAILED, {"GITHUB_STEP_SUMMARY": str(path)}) == ""
    assert not path.exists()
