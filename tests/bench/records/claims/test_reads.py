import dataclasses

import pytest
from records import arm, record

from loop_bench.experiments.syncs.record import HostSyncs, ReadSite, TracedCopies
from loop_bench.records.claims import reads
from loop_bench.records.claims.evidence import ClaimVerdict, Evidence


def syncs(count, waits=0, copies=None, batches=100):
    site = ReadSite(route="numpy", file="f.py", line=1, source="x", reads=count, nbytes=4 * count, seconds=0.1,
                    waits=waits, waited=0.0)  # fmt: skip
    traced = copies and TracedCopies(matched=copies, unexplained=0, unexplained_nbytes=0, python_only=0, uncopied=0)
    return HostSyncs(batches=batches, sites=(site,), copies=traced)


def evidence(before, after, gpus=()):
    arms = {"before": arm("a:b", host_syncs=before), "after": arm("c:d", host_syncs=after)}
    return Evidence(record(arms=arms, environment={"gpus": list(gpus)}))


@pytest.mark.parametrize(
    ("before", "after", "verdict", "why"),
    [
        (800, 40, ClaimVerdict.HOLDS, "both counts"),
        (
            440,
            2,
            ClaimVerdict.DOES_NOT_HOLD,
            "4.4 a batch before, and not 8 and 0.2 in 10 batches after, and not 4; the saving",
        ),
        (440, 2, ClaimVerdict.DOES_NOT_HOLD, "larger than was said"),
        (800, 400, ClaimVerdict.DOES_NOT_HOLD, "40 in 10 batches after, and not 4; the saving is smaller"),
    ],
)
def test_calls(before, after, verdict, why):
    answer = reads.calls(evidence(syncs(before), syncs(after)))
    assert answer.verdict == verdict
    assert why in answer.why
    assert f"{before / after:.3g}× fewer" in answer.measured


def test_waits_are_another_count_and_need_a_gpu():
    waiting = syncs(800, waits=800), syncs(440, waits=40)
    assert reads.waits(evidence(*waiting)).verdict == ClaimVerdict.CANNOT_BE_TOLD
    on_gpu = evidence(*waiting, gpus=["a GPU"])
    assert reads.waits(on_gpu).verdict == ClaimVerdict.HOLDS
    assert reads.calls(on_gpu).verdict == ClaimVerdict.DOES_NOT_HOLD


def test_transfers_are_copies_in_the_trace():
    on_cpu = reads.transfers(evidence(syncs(440), syncs(2)))
    assert (on_cpu.verdict, on_cpu.measured) == (ClaimVerdict.CANNOT_BE_TOLD, "bytes read a batch: 17.6 and 0.08")
    for after, verdict in ((20, ClaimVerdict.HOLDS), (30, ClaimVerdict.DOES_NOT_HOLD), (2, ClaimVerdict.DOES_NOT_HOLD)):
        assert reads.transfers(evidence(syncs(9, copies=400), syncs(9, copies=after))).verdict == verdict


def test_a_trace_that_shows_no_copies_says_nothing():
    for copies, uncopied in ((0, 0), (400, 9)):
        traced = [
            syncs(9).model_copy(
                update={
                    "copies": TracedCopies(
                        matched=copies, unexplained=0, unexplained_nbytes=0, python_only=0, uncopied=uncopied
                    )
                }
            )
            for _ in range(2)
        ]
        answer = reads.transfers(evidence(*traced))
        assert (answer.verdict, answer.why.startswith("the trace is not whole")) == (ClaimVerdict.CANNOT_BE_TOLD, True)


def test_no_syncs_after_are_no_division_by_zero():
    nothing = HostSyncs(batches=100, sites=())
    answer = reads.calls(evidence(syncs(800), nothing))
    assert answer.measured == "8 a batch before, 0 in 10 batches after"
    assert answer.verdict == ClaimVerdict.DOES_NOT_HOLD


def with_history(before, after):
    found = evidence(syncs(440), syncs(2))
    arms = {
        name: made.model_copy(update={"history": history})
        for (name, made), history in zip(found.run.arms.items(), (before, after), strict=True)
    }
    return dataclasses.replace(found, run=found.run.model_copy(update={"arms": arms}))


def test_visible_is_every_metric_of_every_batch():
    whole = {"loss": (1.0, 2.0), "reward": (1.0, 2.0)}
    answer = reads.visibility(with_history(whole, whole))
    assert answer.verdict == ClaimVerdict.HOLDS
    assert answer.why.endswith("the loop after reads once in 50 batches")
    for less in ({"loss": (1.0, 2.0)}, {"loss": (1.0, 2.0), "reward": (1.0,)}):
        answer = reads.visibility(with_history(whole, less))
        assert (answer.verdict, "reward" in answer.why) == (ClaimVerdict.DOES_NOT_HOLD, True)
    assert reads.visibility(with_history(whole, {})).verdict == ClaimVerdict.CANNOT_BE_TOLD


@pytest.mark.parametrize("claim", [reads.calls, reads.waits, reads.transfers, reads.visibility])
def test_without_a_record_or_a_count_nothing_can_be_told(claim):
    assert claim(Evidence()).verdict == ClaimVerdict.CANNOT_BE_TOLD
    assert claim(evidence(None, None, gpus=["a GPU"])).verdict == ClaimVerdict.CANNOT_BE_TOLD
