from records import record

from bench.records.claims.answer import Verdict
from bench.records.claims.claims import CLAIMS, answers
from bench.records.claims.evidence import Evidence


def test_every_claim_is_answered_whatever_there_is():
    for evidence in (Evidence(), Evidence(record()), Evidence(record(rounds=(), rounds_ended=None))):
        found = answers(evidence)
        assert len({each.claim for each in found}) == len(CLAIMS)
        assert all(each.said and each.why for each in found)
    assert {each.verdict for each in answers(Evidence())} == {Verdict.CANNOT_BE_TOLD}
