import collections
import re

from parts import facts
from records import record
from survivals import survival_record

from loop_bench.records.claims import report
from loop_bench.records.claims.evidence import Answer, ClaimVerdict, Evidence
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
    assert [fact.name for fact in shown.facts] == ["run", "survival", "machine"]  # the same machine is named once
    assert facts(shown)["run"] == "preset tiny, 2026-01-02, commit abcdef012"
    assert facts(shown)["survival"].startswith("preset tiny")
    assert facts(shown)["machine"].startswith("2 cores of a CPU")


def test_the_headline_counts_the_verdicts():
    verdicts = collections.Counter(str(each.verdict) for each in answers(Evidence(record(noise=0), survival_record())))
    (headline,) = report.report(Evidence(record(noise=0), survival_record())).headlines
    assert verdicts["does not hold"] > 1
    assert headline.word == "claims"
    assert headline.text.startswith(f"of {len(CLAIMS)}, ")
    assert f"{verdicts['does not hold']} do not hold" in headline.text
    assert sum(map(int, re.findall(r"\d+", headline.text)[1:])) == len(CLAIMS)


def test_each_verdict_is_counted_in_its_own_words():
    def answered(*verdicts):
        return tuple(Answer("a", "b", "c", verdict, "d") for verdict in verdicts)

    holds, fails, open_ = ClaimVerdict
    assert report._counts(answered(open_, holds, fails)) == "1 holds, 1 does not hold, 1 cannot be told here"
    assert report._counts(answered(fails, fails, holds, holds)) == "2 hold, 2 do not hold"
    assert report._counts(answered(open_, open_)) == "2 cannot be told here"


def test_without_any_record_there_is_no_fact():
    made = report.report(Evidence())
    assert made.facts == ()
    assert made.headlines[0].text == f"of {len(CLAIMS)}, {len(CLAIMS)} cannot be told here"
