import numpy as np
import pytest
from ladders import MS, dead, equivalence, finding, ladder, ladder_record, turns, without
from records import ENVIRONMENT

from loop_bench.experiments.ladder.figures import LadderFigures, invalid

DIFFERENT = finding(equal=equivalence(False, "g_loss is 1 and 2 in batch 0"))


def effects(**changes):
    figures = LadderFigures.of(ladder_record(**changes))
    return {each.rung.name: figures.effect(each) for each in figures.rungs}


def test_milliseconds_and_both_ratios():
    figures = LadderFigures.of(ladder_record())
    for name, ms in MS.items():
        assert figures.rung(name).ms_per_batch.median == pytest.approx(ms, rel=0.02)
    fused = figures.rung("fused step")
    assert fused.over_reference.estimate == pytest.approx(55 / 30, rel=0.02)
    assert fused.over_baseline.estimate == pytest.approx(50 / 30, rel=0.02)
    assert fused.over_reference.holds(55 / 30)
    assert figures.rung("no fused step").over_reference.estimate == pytest.approx(15 / 26, rel=0.02)
    baseline = figures.rung("baseline")
    assert (baseline.reference, baseline.over_reference, baseline.over_baseline) == ("", None, None)
    assert figures.full.rung.name == "everything"


def test_an_interval_in_milliseconds_is_that_of_the_ratio():
    figures = LadderFigures.of(ladder_record())
    fused, before = figures.rung("fused step"), figures.rung("guarded clipping").ms_per_batch.median
    np.testing.assert_allclose(fused.ms_from_reference, [before / fused.over_reference[i] for i in (0, 2, 1)])
    assert fused.ms_from_reference.holds(30.0)


def test_each_change_has_its_effect():
    assert effects() == {
        "baseline": "none",
        "deferred metrics": "no measurable difference",
        "guarded clipping": "slower",
        "fused step": "faster",
        "everything": "faster",
        "no fused step": "slower",
        "no deferred metrics": "no measurable difference",
    }


def test_what_is_no_more_than_the_baseline_differs_from_itself_is_no_difference():
    found = effects(rounds=turns(null=50 * 1.2))
    assert found["guarded clipping"] == "no measurable difference"
    assert found["fused step"] == "faster"
    assert effects(rounds=turns(null=50 / 1.2)) == found


def test_nor_is_a_gain_of_that_size():
    rounds = {**MS, "deferred metrics": 46.0}
    assert effects(rounds=turns(rounds))["deferred metrics"] == "faster"
    assert effects(rounds=turns(rounds, null=60.0))["deferred metrics"] == "no measurable difference"


def test_a_few_rounds_say_nothing():
    assert set(effects(rounds=turns(count=9)).values()) == {"none", "too few rounds"}


def test_without_a_null_arm_an_interval_is_all_there_is():
    figures = LadderFigures.of(ladder_record(rounds=without("null")))
    assert (figures.null, figures.noise) == (None, 1.0)
    assert figures.effect(figures.rung("guarded clipping")) == "slower"


def test_a_rung_that_computes_something_else_has_no_speed_up_nor_has_the_next_one_over_it():
    record = ladder_record(findings={"fused step": DIFFERENT})
    figures = LadderFigures.of(record)
    fused, full = figures.rung("fused step"), figures.full
    assert fused.invalid == "does not compute what baseline does: g_loss is 1 and 2 in batch 0"
    assert (fused.over_reference, fused.over_baseline, fused.ms_from_reference) == (None, None, None)
    assert full.over_reference is None
    assert full.over_baseline.estimate == pytest.approx(50 / 15, rel=0.02)
    assert [figures.effect(each) for each in (fused, full)] == ["invalid", "invalid"]


def test_of_an_invalid_full_set_nothing_can_be_left_out():
    found = effects(findings={"everything": DIFFERENT})
    assert [found[name] for name in ("no fused step", "no deferred metrics")] == ["invalid", "invalid"]
    assert found["fused step"] == "faster"


def test_against_an_invalid_baseline_there_is_no_speed_up():
    figures = LadderFigures.of(ladder_record(problems={"baseline": ("no weight has moved",)}))
    assert figures.effect(figures.rungs[0]) == "invalid"
    assert all(each.over_baseline is None for each in figures.rungs)
    assert figures.effect(figures.rung("fused step")) == "faster"  # than the rung before, which is valid


def test_what_makes_a_rung_invalid():
    record = ladder_record(
        findings={"guarded clipping": dead(), "fused step": DIFFERENT},
        stopped={"guarded clipping": "crashed: killed"},
        problems={"everything": ("no weight has moved", "not finite: w")},
    )
    found = {rung.name: invalid(record, rung) for rung in record.ladder.rungs}
    assert found["baseline"] == found["deferred metrics"] == ""
    assert found["guarded clipping"] == "crashed: killed"
    assert found["everything"] == "no weight has moved; not finite: w"


@pytest.mark.parametrize(("gpus", "valid"), [([], False), (["H100"], True)])
def test_what_only_moves_reads_must_be_the_same_bit_for_bit_on_a_cpu(gpus, valid):
    made = ladder()
    exact = made.model_copy(update={"rungs": tuple(rung.model_copy(update={"exact": True}) for rung in made.rungs)})
    record = ladder_record(ladder=exact, environment={**ENVIRONMENT, "gpus": gpus})
    why = invalid(record, record.ladder.full)
    assert ("not bit for bit the same" in why) != valid
    found = {"everything": finding(equal=equivalence().model_copy(update={"bit_for_bit": True}))}
    record = ladder_record(ladder=exact, environment={**ENVIRONMENT, "gpus": gpus}, findings=found)
    assert invalid(record, record.ladder.full) == ""


def test_pairs_are_of_rounds_in_which_both_were_timed():
    rounds = turns()
    figures = LadderFigures.of(ladder_record(rounds=(*rounds[:20], *without("guarded clipping", rounds[20:]))))
    clipping = figures.rung("guarded clipping")
    assert clipping.over_reference.estimate == pytest.approx(50 / 55, rel=0.02)
    assert figures.rung("fused step").over_baseline.estimate == pytest.approx(50 / 30, rel=0.02)


def test_nothing_timed():
    figures = LadderFigures.of(ladder_record(rounds=()))
    assert {each.ms_per_batch for each in figures.rungs} == {None}
    assert figures.null is None
