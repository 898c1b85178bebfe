import pytest
from convergences import DOWN, FINAL, LOOPS, UP, convergence_record, course

from bench.experiments.convergence.trial import Moment
from bench.records.claims import annealing
from bench.records.claims.answer import Verdict
from bench.records.claims.evidence import Evidence


@pytest.fixture(autouse=True)
def fixed(monkeypatch):
    monkeypatch.setattr(annealing, "FIXED", LOOPS[-1])


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
    return Evidence(convergence=convergence_record(seeds, changed=changed))


def said():
    """Temperatures at 20 epochs that agree with what was said where it was said."""
    return [annealing.SAID.get(epoch, 1.0) + 0.004 for epoch in range(1, 21)]


def test_the_temperature_table():
    assert annealing.temperature(evidence(said())).verdict == Verdict.HOLDS
    measured = annealing.temperature(evidence([2.0 * 0.95**epoch for epoch in range(21)]))
    assert measured.verdict == Verdict.DOES_NOT_HOLD
    assert measured.measured == "2.00, 1.63, 1.26, 0.98, 0.75 at epochs 1, 5, 10, 15, 20"
    assert measured.why == "it is another one at epochs 5, 10, 15, 20"


def test_of_other_stretches_than_epochs_there_is_no_table():
    found = evidence(said()).convergence
    often = found.model_copy(update={"plan": found.plan.model_copy(update={"every": 5})})
    assert annealing.temperature(Evidence(convergence=often)).verdict == Verdict.CANNOT_BE_TOLD


def test_runs_that_died_or_began_otherwise_keep_it_from_holding():
    better = quality(-2.0, 0.5)
    assert annealing.convergence(evidence(final=better)).verdict == Verdict.HOLDS
    found = evidence(final=better).convergence
    for changes in ({"ended": "crashed", "why": "NaN"}, {"start": "others"}):
        after = (found.courses["after"][0].model_copy(update=changes), *found.courses["after"][1:])
        changed = found.model_copy(update={"courses": {**found.courses, "after": after}})
        assert annealing.convergence(Evidence(convergence=changed)).verdict == Verdict.CANNOT_BE_TOLD


def test_part_of_the_table_can_be_wrong_but_not_right():
    assert annealing.temperature(evidence(said()[:7])).verdict == Verdict.CANNOT_BE_TOLD
    assert annealing.temperature(evidence([1.0])).verdict == Verdict.DOES_NOT_HOLD
    assert annealing.temperature(evidence([None] * 20)).verdict == Verdict.CANNOT_BE_TOLD
    assert annealing.temperature(Evidence()).verdict == Verdict.CANNOT_BE_TOLD


def quality(down, up):
    """Of the loop after: the reference's, and so much more, with noise that a seed brings."""
    return lambda seed: {
        DOWN: FINAL["after, fixed"][DOWN] + down + 0.1 * seed,
        UP: FINAL["after, fixed"][UP] + up + 0.01 * seed,
    }


@pytest.mark.parametrize(
    ("down", "up", "verdict", "why"),
    [
        (-2.0, 0.5, Verdict.HOLDS, f"it is better in {DOWN}, {UP}, and worse in none"),
        (2.0, 0.5, Verdict.DOES_NOT_HOLD, f"it is worse in {DOWN}, and better in {UP}"),
        (2.0, -0.5, Verdict.DOES_NOT_HOLD, f"it is worse in {DOWN}, {UP}"),
    ],
)
def test_convergence_is_the_mean_over_training_against_a_fixed_temperature(down, up, verdict, why):
    answer = annealing.convergence(evidence(final=quality(down, up)))
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
    assert annealing.convergence(Evidence(convergence=only_diverse)).verdict == Verdict.CANNOT_BE_TOLD


def test_what_cannot_be_measured_is_not_called_the_same():
    noisy = evidence(final=lambda seed: {DOWN: FINAL["after, fixed"][DOWN] + (-1) ** seed, UP: seed % 2})
    assert annealing.convergence(noisy).verdict == Verdict.CANNOT_BE_TOLD
    assert annealing.convergence(Evidence()).verdict == Verdict.CANNOT_BE_TOLD
    assert annealing.convergence(evidence(seeds=(0,))).verdict == Verdict.CANNOT_BE_TOLD
