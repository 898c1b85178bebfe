import itertools

import numpy as np
import pytest

from loop_bench import builtin
from loop_bench.errors import UsageError
from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.plan import SHORT, canonical
from loop_bench.experiments.sweep.plan import parse_axes
from loop_bench.loop import load
from loop_bench.seqgan.config import Config
from loop_bench.settings import ARMS, Settings


def test_defaults_can_be_loaded():
    assert callable(load(builtin.BEFORE))
    assert callable(load(builtin.AFTER))


def settings(before=builtin.BEFORE, after=builtin.AFTER, **options):
    return Settings(before=before, after=after, preset="tiny", seed=3, batches=1, options=options)


def survival(run, **more):
    return builtin.find(run.before, run.after).survival(run, **more)


def shown(plan):
    return builtin.find(builtin.BEFORE, builtin.AFTER).shown(plan)


def ladder(run):
    return builtin.find(run.before, run.after).ladder(run)


def convergence(run, **more):
    return builtin.find(run.before, run.after).convergence(run, **more)


def test_every_run_has_a_few_faults_from_its_own_seed():
    plan = survival(settings(script="a.csv"))
    assert (list(plan.loops), plan.seeds, plan.epochs) == (["before", "after"], (3,), 0)
    assert {loop.faults for loop in plan.loops.values()} == {canonical(builtin.FAULTS)}
    assert plan.loops["after"].options == {"script": "a.csv"}
    assert survival(settings(after="my.package:loop")).loops["before"].faults == canonical(SHORT)


def test_the_whole_matrix_has_two_hundred_runs_an_arm_and_the_rungs_between():
    plan = survival(settings(), seeds=10, epochs=100)
    assert plan.seeds == tuple(range(3, 13))
    for arm in ARMS:
        assert len(plan.loops[arm].faults) == len(set(plan.loops[arm].faults))
        assert len(plan.loops[arm].faults) * len(plan.seeds) >= 200
    rungs = {name: loop.options for name, loop in plan.loops.items() if name not in ARMS}
    assert rungs == {f"after, {name}": {"protection": name} for name in ("none", "clip", "clip+zero", "clip+skip")}
    for name in rungs:  # the last rung is the loop after itself
        assert set(plan.loops[name].faults) < set(plan.loops["after"].faults)


@pytest.mark.parametrize(("before", "network"), [(builtin.BEFORE, ",target=generator"), ("my.package:old", "")])
def test_the_whole_matrix_has_what_no_single_batch_is(before, network):
    faults = survival(settings(before=before), seeds=2).loops["after"].faults
    assert f"nan{network},batches=40" in faults
    (growing,) = (fault for fault in map(Fault.parse, faults) if fault.growth != 1)
    sizes = [growing.strength(batch) for batch in range(growing.batch, growing.end)]
    assert sizes[0] < 1e4 < float(np.finfo(np.float32).max) < sizes[-1]
    assert sizes == sorted(sizes)


def test_other_loops_are_put_through_what_needs_no_names():
    plan = survival(settings(before="my.package:old"), seeds=2)
    assert list(plan.loops) == ["before", "after"]
    for fault in map(Fault.parse, plan.loops["after"].faults):
        assert fault.target == "all"
        assert fault.call is None


def test_shown_are_the_faults_of_every_run_or_else_the_first():
    plan = survival(settings(), seeds=2)
    assert shown(plan) == ("scale=10000,target=generator", "nan,target=generator", "inf,target=discriminator")
    assert shown(plan.only(("scale=7", "scale=8", "inf,batches=2", "scale=9"), ARMS)) == (
        "scale=7",
        "scale=8",
        "inf,batches=2",
    )


def test_faults_hit_the_built_in_networks(tiny, lines):
    from loop_bench.seqgan.networks import Networks

    names = [weight.path for weight in Networks(tiny, lines.sizes).weights]
    for text in survival(settings(), seeds=1).loops["before"].faults:
        fault = Fault.parse(text)
        hit = [name for name in names if fault.hits(name)]
        assert hit
        assert fault.target == "all" or all(name.startswith(f"{fault.target}/") for name in hit)


def test_wrong_options_are_found_before_anything_slow(script):
    builtin.find(builtin.BEFORE, builtin.AFTER).check("tiny", 0, {"script": str(script)})
    builtin.find("my.package:old", "my.package:new").check("huge", 0, {"script": "none.csv"})  # for them to know
    for preset, options, says in (
        ("huge", {}, "preset 'huge' is unknown"),
        ("tiny", {"speed": 3}, "config field 'speed' is unknown"),
        ("paper", {"script": str(script)}, "speeches=40 must be at least batch_size=64"),
        ("tiny", {"script": "none.csv"}, r"script none\.csv: no such file"),
        ("tiny", {"script": str(script), "columns": "text=Line"}, "column 'Line' is missing"),
        ("tiny", {"script": str(script), "delimiter": ";"}, "separated by commas"),
        ("tiny", {"script": str(script), "encoding": "utf-9"}, "--encoding 'utf-9': unknown"),
    ):
        for pair in ((builtin.BEFORE, builtin.AFTER), (builtin.BEFORE, "my.package:new")):
            with pytest.raises(UsageError, match=says):
                builtin.find(*pair).check(preset, 0, options)


def swept(*texts, **changes):
    run = settings(**changes)
    pair = builtin.find(run.before, run.after)
    return pair.sweep(run, parse_axes(texts, tuple(pair.axes.options) if pair.axes else None))


def options_at(plan, axis):
    return [point.settings.options for point in plan.points[axis]]


def test_a_sweep_sets_the_fields_that_its_axes_are():
    texts = ["batch=8", "tokens=12", "vocabulary=100", "hidden=8", "d_steps=2"]
    plan = swept(*texts)
    assert [options_at(plan, axis.name) for axis in plan.axes] == [
        [{"batch_size": 8}],
        [{"sequence_length": 12}],
        [{"vocabulary_size": 100}],
        [{"hidden_size": 8}],
        [{"d_steps": 2}],
    ]
    assert [point.tokens for of in plan.points.values() for point in of] == [10, 12, 10, 10, 10]


def test_the_presets_own_size_is_one_point_on_all_axes():
    plan = swept("batch=8,16", "tokens=10,20", "hidden=32", clip_norm=9.0)
    assert options_at(plan, "tokens") == [{"clip_norm": 9.0}, {"clip_norm": 9.0, "sequence_length": 20}]
    assert list(plan.titles().values()) == ["batch 8", "batch 16 = tokens 10 = hidden 32", "tokens 20"]


def test_a_value_that_is_named_as_an_option_is_the_own_one():
    plan = swept("batch=8,16", batch_size=8)
    assert [plan.is_own(point) for point in plan.points["batch"]] == [True, False]


def test_an_axis_of_other_loops_is_an_option_of_theirs():
    plan = swept("layers=2,4", before="my.old:make", after="my.new:make", width=7)
    assert options_at(plan, "layers") == [{"width": 7, "layers": 2}, {"width": 7, "layers": 4}]
    assert {point.tokens for point in plan.points["layers"]} == {None}


def test_a_loop_compared_with_a_built_in_one_gets_every_size():
    plan = swept("batch=8,16", before="my.old:make")
    assert options_at(plan, "batch") == [{"batch_size": 8}, {"batch_size": 16}]


def test_a_size_that_the_built_in_loops_do_not_take_is_refused():
    with pytest.raises(UsageError, match="sequence_length=1 must be a whole number of at least 2"):
        swept("tokens=1,20")
    with pytest.raises(UsageError, match="the axes are batch, tokens, vocabulary, hidden, d_steps, replicas"):
        swept("layers=2")


def test_the_ladder_leads_from_the_loop_before_to_the_one_after():
    made = ladder(settings(script="a.csv"))
    assert (made.preset, made.seed, made.batches) == ("tiny", 3, 1)
    assert made.baseline.factory == builtin.BEFORE
    assert {rung.factory for rung in made.rungs[1:]} == {builtin.AFTER}
    assert all(rung.options["script"] == "a.csv" for rung in made.rungs)
    assert made.baseline.equivalent_options is None
    assert all(
        rung.equivalent_options == builtin.find(builtin.BEFORE, builtin.AFTER).equivalent for rung in made.rungs[1:]
    )


def test_the_last_step_is_the_loop_after_as_it_is():
    full = {key: value for key, value in ladder(settings()).full.options.items() if value is not None}
    plain = Config.preset("tiny")
    resolved = {"sampler": "inverse_cdf", "policy_gradient": "sampled_pass"}  # what None stands for in this loop
    assert full == {key: resolved.get(key, getattr(plain, key)) for key in full}


def test_each_step_changes_what_it_is_called_after_and_nothing_else():
    steps = [rung for rung in ladder(settings()).rungs if rung.group == "step"]
    assert [step.name for step in steps] == [builtin.UNCHANGED, *builtin.CHANGES]
    for before, after in itertools.pairwise(steps):
        changed = {key for key in after.options if after.options[key] != before.options[key]}
        assert changed
        assert changed <= set(builtin.CHANGES[after.name])


def test_what_only_moves_reads_and_calls_must_be_exact():
    exact = [rung.name for rung in ladder(settings()).rungs if rung.exact]
    assert exact == [builtin.UNCHANGED, *list(builtin.CHANGES)[:7]]
    assert exact[-1] == "sampler"  # and there it is the same one


def test_each_change_is_left_out_of_the_full_set():
    made = ladder(settings())
    left_out = {rung.name: rung.options for rung in made.rungs if rung.group == "left out"}
    assert len(left_out) == len(builtin.CHANGES)
    for name, options in left_out.items():
        gone = name.removeprefix("without ").split(", ")
        changed = {key for key in options if options[key] != made.full.options[key]}
        assert changed <= {key for change in gone for key in builtin.CHANGES[change]}
        assert changed
    assert "without fused step, window, sampled pass" in left_out


@pytest.mark.parametrize("rung", ladder(settings()).rungs, ids=lambda rung: rung.name)
def test_every_rung_is_a_config(rung):
    made = Config.preset("tiny", **{**rung.options, **(rung.equivalent_options or {})})
    assert made.keep_lines == (rung.group != "baseline")


def test_between_other_loops_there_is_one_step():
    made = ladder(settings(before="my.package:old", after="my.package:new"))
    assert [(rung.factory, rung.group, rung.equivalent_options) for rung in made.rungs] == [
        ("my.package:old", "baseline", None),
        ("my.package:new", "step", None),
    ]


def test_the_effect_of_annealing_is_separated_from_that_of_the_rest():
    plan = convergence(settings(script="a.csv"), seeds=2, epochs=5, every=7)
    assert (list(plan.loops), plan.seeds, plan.epochs, plan.every) == (["before", "after", builtin.FIXED], (3, 4), 5, 7)
    ready = {"pretrained": True, "held_out": 0.1, "evaluation_temperature": 1.0, "script": "a.csv"}
    assert plan.loops["before"].options == plan.loops["after"].options == ready
    fixed = Config.preset(
        "tiny", **{key: plan.loops[builtin.FIXED].options[key] for key in builtin.CHANGES["annealing"]}
    )
    assert {fixed.annealed_temperature(epoch) for epoch in range(50)} == {fixed.temperature_fixed}
    assert plan.loops[builtin.FIXED].options.items() > ready.items()
    assert [(pair.changed, pair.reference) for pair in plan.pairs] == [
        ("after", builtin.FIXED),
        (builtin.FIXED, "before"),
        ("after", "before"),
    ]


def test_other_loops_converge_as_they_are():
    plan = convergence(settings(after="my.package:new"), seeds=1, epochs=5)
    assert list(plan.loops) == ["before", "after"]
    assert plan.loops["before"].options["pretrained"]
    assert plan.loops["after"].options == {}
    assert [(pair.changed, pair.reference) for pair in plan.pairs] == [("after", "before")]


def test_both_ways_round_and_twice_the_same_they_are_one_algorithm_with_networks_of_one_name():
    for before, after in itertools.product((builtin.BEFORE, builtin.AFTER), repeat=2):
        pair = builtin.find(before, after)
        assert pair.equivalent["sampler"] == "inverse_cdf"
        assert (pair.faults.short, pair.faults.must_happen) == (builtin.FAULTS, True)
        assert (len(pair.changes.steps) > 1) == ((before, after) == (builtin.BEFORE, builtin.AFTER))


def test_a_built_in_loop_beside_another_one_keeps_what_is_its_own():
    pair = builtin.find(builtin.BEFORE, "my.package:new")
    assert tuple(pair.axes.options) == tuple(builtin.AXES)
    assert (pair.equivalent, pair.faults.must_happen, pair.after.ready) == (None, False, {})
