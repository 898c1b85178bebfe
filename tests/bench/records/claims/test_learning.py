import pytest
from convergences import DOWN, FINAL, LOOPS, UP, convergence_record, course
from records import arm, record, survival
from survivals import survival_record, undisturbed

from loop_bench.experiments.convergence.trial import Moment
from loop_bench.records.claims import learning
from loop_bench.records.claims.evidence import ClaimVerdict, Evidence
from loop_bench.records.claims.learning import Deaths, crashes


def convergence(made):
    """Evidence of one record; the last of its loops is the one without annealing."""
    return Evidence(convergence=made, fixed_temperature=LOOPS[-1])


def evidence(temperatures=None, final=None, seeds=(0, 1, 2)):
    """A record in which the loop after says these temperatures, or ends with this quality."""
    changed = []
    for seed in seeds:
        made = course("after", seed)
        moments = made.moments
        if temperatures is not None:
            moments = tuple(
                Moment(batch=10 * epoch, seconds=epoch, temperature=each, quality=moments[0].quality)
                for epoch, each in enumerate(temperatures)
            )
        if final is not None:
            last = [each.model_copy(update={"quality": {**each.quality, **final(seed)}}) for each in moments]
            moments = (moments[0], *last[1:])
        changed.append((("after", seed), course("after", seed, moments=moments)))
    return convergence(convergence_record(seeds, changed=changed))


def said():
    """Temperatures at 20 epochs that agree with what was said where it was said."""
    return [learning.SAID_TEMPERATURES.get(epoch, 1.0) + 0.004 for epoch in range(1, 21)]


def test_the_temperature_table():
    assert learning.temperature(evidence(said())).verdict == ClaimVerdict.HOLDS
    measured = learning.temperature(evidence([2.0 * 0.95**epoch for epoch in range(21)]))
    assert measured.verdict == ClaimVerdict.DOES_NOT_HOLD
    assert measured.measured == "2.00, 1.63, 1.26, 0.98, 0.75 at epochs 1, 5, 10, 15, 20"
    assert measured.why == "it is another one at epochs 5, 10, 15, 20"


def test_of_other_stretches_than_epochs_there_is_no_table():
    found = evidence(said()).convergence
    often = found.model_copy(update={"plan": found.plan.model_copy(update={"every": 5})})
    assert learning.temperature(convergence(often)).verdict == ClaimVerdict.CANNOT_BE_TOLD


def test_runs_that_died_or_began_otherwise_keep_it_from_holding():
    better = quality(-2.0, 0.5)
    assert learning.convergence(evidence(final=better)).verdict == ClaimVerdict.HOLDS
    found = evidence(final=better).convergence
    for changes in ({"ended": "crashed", "why": "NaN"}, {"start": "others"}):
        after = (found.courses["after"][0].model_copy(update=changes), *found.courses["after"][1:])
        changed = found.model_copy(update={"courses": {**found.courses, "after": after}})
        assert learning.convergence(convergence(changed)).verdict == ClaimVerdict.CANNOT_BE_TOLD


def test_part_of_the_table_can_be_wrong_but_not_right():
    assert learning.temperature(evidence(said()[:7])).verdict == ClaimVerdict.CANNOT_BE_TOLD
    assert learning.temperature(evidence([1.0])).verdict == ClaimVerdict.DOES_NOT_HOLD
    assert learning.temperature(evidence([None] * 20)).verdict == ClaimVerdict.CANNOT_BE_TOLD
    assert learning.temperature(Evidence()).verdict == ClaimVerdict.CANNOT_BE_TOLD


def quality(down, up):
    """Quality of the loop after: the reference's plus a difference, with noise by seed."""
    return lambda seed: {
        DOWN: FINAL["after, fixed"][DOWN] + down + 0.1 * seed,
        UP: FINAL["after, fixed"][UP] + up + 0.01 * seed,
    }


@pytest.mark.parametrize(
    ("down", "up", "verdict", "why"),
    [
        (-2.0, 0.5, ClaimVerdict.HOLDS, f"it is better in {DOWN}, {UP}, and worse in none"),
        (2.0, 0.5, ClaimVerdict.DOES_NOT_HOLD, f"it is worse in {DOWN}, and better in {UP}"),
        (2.0, -0.5, ClaimVerdict.DOES_NOT_HOLD, f"it is worse in {DOWN}, {UP}"),
    ],
)
def test_convergence_is_the_mean_over_training_against_a_fixed_temperature(down, up, verdict, why):
    answer = learning.convergence(evidence(final=quality(down, up)))
    assert (answer.verdict, answer.why) == (verdict, why)
    assert "after less after, fixed" in answer.measured


def test_lines_that_have_nothing_in_common_are_no_better():
    renamed = evidence(final=quality(0.0, 0.0)).convergence
    only_diverse = renamed.model_copy(
        update={
            "courses": {
                loop: tuple(
                    run.model_copy(
                        update={
                            "moments": tuple(
                                moment.model_copy(update={"quality": {"self-BLEU-4 ↓": float(loop != "after")}})
                                for moment in run.moments
                            )
                        }
                    )
                    for run in runs
                )
                for loop, runs in renamed.courses.items()
            }
        }
    )
    assert learning.convergence(convergence(only_diverse)).verdict == ClaimVerdict.CANNOT_BE_TOLD


def test_what_cannot_be_measured_is_not_called_the_same():
    noisy = evidence(final=lambda seed: {DOWN: FINAL["after, fixed"][DOWN] + (-1) ** seed, UP: seed % 2})
    assert learning.convergence(noisy).verdict == ClaimVerdict.CANNOT_BE_TOLD
    assert learning.convergence(Evidence()).verdict == ClaimVerdict.CANNOT_BE_TOLD
    assert learning.convergence(evidence(seeds=(0,))).verdict == ClaimVerdict.CANNOT_BE_TOLD


def long_runs(before, after, runs=10, run=None):
    """Runs of 100 epochs of each loop, of which some die half way."""

    def long(died):
        dead = [undisturbed(seed, ended="crashed", batches=1000) for seed in range(died)]
        return (*dead, *(undisturbed(seed) for seed in range(died, runs)))

    return Evidence(run, survival_record(undisturbed={"before": long(before), "after": long(after)}))


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (0, 0, ClaimVerdict.DOES_NOT_HOLD),  # 0 in 1000 epochs is less than 1 in 100
        (40, 0, ClaimVerdict.HOLDS),
        (40, 1, ClaimVerdict.DOES_NOT_HOLD),
    ],
)
def test_crashes(before, after, verdict):
    assert crashes(long_runs(before, after, runs=max(10, before))).verdict == verdict


def test_few_epochs_cannot_tell():
    answer = crashes(long_runs(0, 0, runs=1))
    assert answer.verdict == ClaimVerdict.CANNOT_BE_TOLD
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
    assert answer.verdict == ClaimVerdict.CANNOT_BE_TOLD


def test_loops_that_died_at_once_are_no_division():
    dead = tuple(undisturbed(seed, first_bad=0) for seed in range(3))
    found = Evidence(survival=survival_record(undisturbed={"before": dead, "after": dead}))
    assert crashes(found).verdict == ClaimVerdict.CANNOT_BE_TOLD


def test_loops_that_all_died_do_not_say_how_long_an_epoch_is():
    assert crashes(long_runs(10, 10)).verdict == ClaimVerdict.CANNOT_BE_TOLD


def test_what_a_fault_does_is_said_and_decides_nothing():
    arms = {
        "before": arm("a:b", survivals=(survival("crashed", "nan,target=a"), survival("frozen", "scale=10000"))),
        "after": arm("c:d", survivals=(survival("skipped", "nan,target=a"),)),
    }
    told = "after one batch of NaN gradients: before crashed, after skipped"
    assert crashes(Evidence(record(arms=arms))).measured == told
    assert crashes(Evidence(record(arms=arms))).verdict == ClaimVerdict.CANNOT_BE_TOLD
    assert crashes(long_runs(0, 0, run=record(arms=arms))).why.endswith(told)


def test_without_long_runs_nothing_can_be_told():
    for found in (Evidence(), Evidence(survival=survival_record(undisturbed={}))):
        assert crashes(found).verdict == ClaimVerdict.CANNOT_BE_TOLD
