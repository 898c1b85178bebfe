import pytest
from records import arm, record, survival
from survivals import survival_record, undisturbed

from bench.records.claims.answer import Verdict
from bench.records.claims.evidence import Evidence
from bench.records.claims.survival import Deaths, crashes


def evidence(before, after, runs=10, run=None):
    """So many runs of 100 epochs of each loop, of which so many die half way."""

    def long(died):
        dead = [undisturbed(seed, ended="crashed", batches=1000) for seed in range(died)]
        return (*dead, *(undisturbed(seed) for seed in range(died, runs)))

    return Evidence(run, survival_record(undisturbed={"before": long(before), "after": long(after)}))


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (0, 0, Verdict.DOES_NOT_HOLD),  # 0 in 1000 epochs is less than 1 in 100
        (40, 0, Verdict.HOLDS),
        (40, 1, Verdict.DOES_NOT_HOLD),
    ],
)
def test_crashes(before, after, verdict):
    assert crashes(evidence(before, after, runs=max(10, before))).verdict == verdict


def test_few_epochs_cannot_tell():
    answer = crashes(evidence(0, 0, runs=1))
    assert answer.verdict == Verdict.CANNOT_BE_TOLD
    assert answer.measured.startswith("before: 0 in 100 epochs, or 0 in 100 (95%: 0 to 3.7)")


def test_the_epochs_of_a_run_that_died_are_those_that_it_lived():
    runs = undisturbed(0), undisturbed(1, ended="crashed", batches=1000), undisturbed(2, first_bad=500)
    deaths = Deaths.of(runs, batches_per_epoch=20)
    assert (deaths.count, deaths.epochs) == (2, 100 + 50 + 25)
    rate = deaths.in_hundred_epochs
    assert rate.estimate == pytest.approx(200 / 175)
    assert rate.low < rate.estimate < rate.high


def test_none_in_a_few_epochs_is_no_proof():
    few = [undisturbed(0)]
    many = [undisturbed(seed, ended="crashed", batches=20) for seed in range(40)]
    answer = crashes(Evidence(survival=survival_record(undisturbed={"before": (*many, *few), "after": tuple(few)})))
    assert answer.verdict == Verdict.CANNOT_BE_TOLD


def test_loops_that_died_at_once_are_no_division():
    dead = tuple(undisturbed(seed, first_bad=0) for seed in range(3))
    found = Evidence(survival=survival_record(undisturbed={"before": dead, "after": dead}))
    assert crashes(found).verdict == Verdict.CANNOT_BE_TOLD


def test_loops_that_all_died_do_not_say_how_long_an_epoch_is():
    assert crashes(evidence(10, 10)).verdict == Verdict.CANNOT_BE_TOLD


def test_what_a_fault_does_is_said_and_decides_nothing():
    arms = {
        "before": arm("a:b", survivals=(survival("crashed", "nan,target=a"), survival("frozen", "scale=10000"))),
        "after": arm("c:d", survivals=(survival("skipped", "nan,target=a"),)),
    }
    told = "after one batch of NaN gradients: before crashed, after skipped"
    assert crashes(Evidence(record(arms=arms))).measured == told
    assert crashes(Evidence(record(arms=arms))).verdict == Verdict.CANNOT_BE_TOLD
    assert crashes(evidence(0, 0, run=record(arms=arms))).why.endswith(told)


def test_without_long_runs_nothing_can_be_told():
    for found in (Evidence(), Evidence(survival=survival_record(undisturbed={}))):
        assert crashes(found).verdict == Verdict.CANNOT_BE_TOLD
