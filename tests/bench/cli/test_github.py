import io

import pytest

from bench.cli import github
from bench.records.gate import Check, Decision, Outcome


def publish(outcome, environment):
    log = io.StringIO()
    github.publish(Decision((Check("slowdown", outcome, "5% more\nthan before"),)), log, environment)
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


def test_nothing_elsewhere(tmp_path):
    path = tmp_path / "summary.md"
    assert publish(Outcome.FAILED, {"GITHUB_STEP_SUMMARY": str(path)}) == ""
    assert not path.exists()
