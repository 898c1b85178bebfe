from records import record
from survivals import survival_record

from loop_bench.records.claims import report
from loop_bench.records.claims.evidence import ClaimVerdict, Evidence
from loop_bench.records.claims.report import CLAIMS, answers


def test_every_claim_is_answered_whatever_there_is():
    for evidence in (Evidence(), Evidence(record()), Evidence(record(rounds=(), rounds_ended=None))):
        found = answers(evidence)
        assert len({each.claim for each in found}) == len(CLAIMS)
        assert all(each.said and each.why for each in found)
    assert {each.verdict for each in answers(Evidence())} == {ClaimVerdict.CANNOT_BE_TOLD}


def test_a_row_a_claim_and_where_it_is_from():
    shown = report.report(Evidence(record(noise=0), survival_record()))
    (table,) = shown.tables
    assert len(table.frame) == len(CLAIMS)
    assert set(table.frame["verdict"]) <= {"holds", "does not hold", "cannot be told here"}
    assert table.frame.set_index("claim").loc["time a batch", "verdict"] == "does not hold"  # 2×
    assert shown.notes[0].startswith("run: preset tiny, 2026-01-02, commit abcdef012")
    assert shown.notes[1].startswith("survival: preset tiny")
    assert shown.notes[-1].startswith("2 cores of a CPU")
    assert len(shown.notes) == 3  # the same machine is named once
