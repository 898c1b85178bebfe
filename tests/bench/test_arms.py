import numpy as np
import pytest

from bench import arms
from bench.errors import UsageError
from bench.faults import Fault
from bench.faults.experiment import canonical
from bench.loop import load
from bench.record import ARMS, Settings


def test_defaults_can_be_loaded():
    assert callable(load(arms.BEFORE))
    assert callable(load(arms.AFTER))


def settings(before=arms.BEFORE, after=arms.AFTER, **options):
    return Settings(before=before, after=after, preset="tiny", seed=3, batches=1, options=options)


def test_every_run_has_a_few_faults_from_its_own_seed():
    plan = arms.survival_plan(settings(script="a.csv"))
    assert (list(plan.loops), plan.seeds, plan.epochs) == (["before", "after"], (3,), 0)
    assert {loop.faults for loop in plan.loops.values()} == {canonical(arms.FAULTS)}
    assert plan.loops["after"].options == {"script": "a.csv"}
    assert arms.survival_plan(settings(after="my.package:loop")).loops["before"].faults == canonical(
        arms.FAULTS_OF_ANY_LOOP
    )


def test_the_whole_matrix_has_two_hundred_runs_an_arm_and_the_rungs_between():
    plan = arms.survival_plan(settings(), seeds=10, epochs=100)
    assert plan.seeds == tuple(range(3, 13))
    for arm in ARMS:
        assert len(plan.loops[arm].faults) == len(set(plan.loops[arm].faults))
        assert len(plan.loops[arm].faults) * len(plan.seeds) >= 200
    rungs = {name: loop.options for name, loop in plan.loops.items() if name not in ARMS}
    assert rungs == {f"after, {name}": {"protection": name} for name in ("none", "clip", "clip+zero", "clip+skip")}
    for name in rungs:  # the last rung is the loop after itself
        assert set(plan.loops[name].faults) < set(plan.loops["after"].faults)


@pytest.mark.parametrize(("before", "network"), [(arms.BEFORE, ",target=generator"), ("my.package:old", "")])
def test_the_whole_matrix_has_what_no_single_batch_is(before, network):
    faults = arms.survival_plan(settings(before=before), seeds=2).loops["after"].faults
    assert f"nan{network},batches=40" in faults
    (growing,) = (fault for fault in map(Fault.parse, faults) if fault.growth != 1)
    sizes = [growing.strength(batch) for batch in range(growing.batch, growing.end)]
    assert sizes[0] < 1e4 < float(np.finfo(np.float32).max) < sizes[-1]
    assert sizes == sorted(sizes)


def test_other_loops_are_put_through_what_needs_no_names():
    plan = arms.survival_plan(settings(before="my.package:old"), seeds=2)
    assert list(plan.loops) == ["before", "after"]
    for fault in map(Fault.parse, plan.loops["after"].faults):
        assert fault.target == "all"
        assert fault.call is None


def test_shown_are_the_faults_of_every_run_or_else_the_first():
    plan = arms.survival_plan(settings(), seeds=2)
    assert arms.shown(plan) == ("scale=10000,target=generator", "nan,target=generator", "inf,target=discriminator")
    assert arms.shown(plan.only(("scale=7", "scale=8", "inf,batches=2", "scale=9"), ARMS)) == (
        "scale=7",
        "scale=8",
        "inf,batches=2",
    )


def test_faults_hit_the_built_in_networks(tiny, lines):
    from seqgan.networks import Networks

    names = [weight.path for weight in Networks(tiny, lines.sizes).weights]
    for text in arms.survival_plan(settings(), seeds=1).loops["before"].faults:
        fault = Fault.parse(text)
        hit = [name for name in names if fault.hits(name)]
        assert hit
        assert fault.target == "all" or all(name.startswith(f"{fault.target}/") for name in hit)


def test_wrong_options_are_found_before_anything_slow(script):
    arms.check(arms.BEFORE, arms.AFTER, "tiny", 0, {"script": str(script)})
    arms.check("my.package:old", "my.package:new", "huge", 0, {"script": "none.csv"})  # for them to know
    for preset, options, says in (
        ("huge", {}, "preset 'huge' is unknown"),
        ("tiny", {"speed": 3}, "config field 'speed' is unknown"),
        ("paper", {"script": str(script)}, "speeches=40 must be at least batch_size=64"),
        ("tiny", {"script": "none.csv"}, r"script none\.csv: no such file"),
    ):
        for pair in ((arms.BEFORE, arms.AFTER), (arms.BEFORE, "my.package:new")):
            with pytest.raises(UsageError, match=says):
                arms.check(*pair, preset, 0, options)


def test_the_ladder_leads_from_the_loop_before_to_the_one_after():
    made = arms.ladder(settings(script="a.csv"))
    assert (made.preset, made.seed, made.batches) == ("tiny", 3, 1)
    assert (made.baseline.factory, made.full.factory) == (arms.BEFORE, arms.AFTER)
    assert all(rung.options["script"] == "a.csv" for rung in made.rungs)
    assert made.full.equivalent_options == arms.equivalent_options(arms.BEFORE, arms.AFTER)


def test_between_other_loops_there_is_one_step():
    made = arms.ladder(settings(before="my.package:old", after="my.package:new"))
    assert [(rung.factory, rung.group, rung.equivalent_options) for rung in made.rungs] == [
        ("my.package:old", "baseline", None),
        ("my.package:new", "step", None),
    ]
