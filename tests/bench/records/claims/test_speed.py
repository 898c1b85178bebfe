import pytest
from records import arm, record

from bench.records.claims import speed
from bench.records.claims.answer import Verdict
from bench.records.claims.evidence import Evidence
from bench.timing.samples import Start


def started(before=2.0, after=2.0, epoch=100):
    """A run whose loops took so many seconds to their first batch."""

    def made(factory, seconds):
        start = Start(build_seconds=seconds / 2, first_batch_seconds=seconds / 2)
        return arm(factory, starts=(start,), described_first={"batches_per_epoch": epoch} if epoch else {})

    arms = {"before": made("a:b", before), "after": made("c:d", after)}
    return Evidence(record(arms=arms, noise=0.01, before=0.06, after=0.015))


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (0.015, Verdict.HOLDS),
        (0.006, Verdict.DOES_NOT_HOLD),
        (0.02, Verdict.CANNOT_BE_TOLD),
        (0.03, Verdict.DOES_NOT_HOLD),
    ],
)
def test_time_a_batch(after, verdict):
    answer = speed.batch(Evidence(record(before=0.06, after=after, noise=0.01)))
    assert answer.verdict == verdict
    assert f"{0.06 / after:.1f}" in answer.measured


def test_a_run_that_is_invalid_or_missing_says_nothing():
    for evidence in (Evidence(record(problems=("lazy",))), Evidence()):
        assert {claim(evidence).verdict for claim in (speed.batch, speed.training)} == {Verdict.CANNOT_BE_TOLD}
    nothing = Evidence(record(rounds=(), rounds_ended=None))
    assert {claim(nothing).verdict for claim in (speed.batch, speed.training)} == {Verdict.CANNOT_BE_TOLD}


def test_the_time_of_a_training_has_the_time_to_its_first_batch_in_it():
    quick, slow = speed.training(started()), speed.training(started(after=40.0))
    assert quick.verdict == Verdict.HOLDS
    assert quick.measured.startswith("122 s before, 32 s after: 3.8")  # 2 s + 1999 batches of 60 and 15 ms
    assert slow.verdict == Verdict.DOES_NOT_HOLD
    assert slow.measured.startswith("122 s before, 70 s after: 1.7")
    assert slow.why.startswith("it is less than was said")


def test_without_an_epoch_there_is_no_training():
    assert speed.training(started(epoch=None)).verdict == Verdict.CANNOT_BE_TOLD
