import datetime
import json
import math

import pytest
import trials
from records import survival as one_survival
from survivals import undisturbed

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.experiments.survival import outcome
from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.observation import PATIENCE, Observation, horizon
from loop_bench.experiments.survival.plan import (
    AttackedLoop,
    Faults,
    SurvivalPlan,
    Variant,
    canonical,
    survival_plan,
)
from loop_bench.experiments.survival.record import PACE, SCHEMA, SurvivalRecord, Undisturbed
from loop_bench.experiments.survival.trial import SurvivalTrial
from loop_bench.settings import Settings

LATE = "nan,batch=30,batches=3"
HERE = {"cpu": "of some kind", "versions": {"tensorflow": "2.21.0"}, "gpus": [], "commit": None, "dirty": False}


def make(**changes):
    given = {
        "loops": {
            "before": AttackedLoop(factory="toys:plain", faults=("nan", LATE)),
            "after": AttackedLoop(factory="toys:guarded", options={"size": 3}, faults=("nan",)),
        },
        "preset": "tiny",
        "seeds": (3, 5),
    }
    return SurvivalPlan(**{**given, **changes})


def whole(batches, **changes):
    given = {
        "metrics": {"loss": tuple(1 / (1 + n) for n in range(batches))},
        "steps": {"0:weight": (1.0,) * batches},
    }
    return Observation(ended="whole", **{**given, **changes})


def answered(plan, answers=lambda trial: None):
    """Results of all trials of a plan, `answers` for some of them."""
    results = {}
    for trial in plan.trials():
        struck = () if trial.fault is None else (Fault.parse(trial.fault).batch,)
        seen = answers(trial) or whole(trial.batches or 100, struck=struck)
        results[trial.key] = trials.found(trial, seen, seconds=2.0)
    return results


def test_each_seed_is_complete_before_the_next_one():
    planned = make(epochs=2).trials()
    assert [(each.seed, each.loop, each.fault, each.epochs) for each in planned] == [
        (seed, loop, fault, epochs)
        for seed in (3, 5)
        for loop, fault, epochs in (
            ("before", None, None),
            ("after", None, None),
            ("before", "nan", None),
            ("before", LATE, None),
            ("before", None, 2),
            ("after", "nan", None),
            ("after", None, 2),
        )
    ]
    assert len({each.key for each in planned}) == len(planned)


def test_without_epochs_there_is_no_long_run():
    assert [each.epochs for each in make().trials()] == [None] * 10


def test_a_trial_is_of_its_loop():
    clean = make().clean("after", 5)
    fields = {"loop": "after", "factory": "toys:guarded", "preset": "tiny", "seed": 5, "options": {"size": 3}}
    assert clean == SurvivalTrial(**fields, batches=clean.batches, ready=("nan",))


@pytest.mark.parametrize(
    ("faults", "ready"),
    [
        ((), ()),
        (("nan,in=weights", "inf"), ("nan",)),
        (
            ("inf,target=a,batch=4", "scale=10,target=a", "nan,target=a,extent=element", "nan,target=b"),
            ("nan,target=a", "nan,target=a,extent=element", "nan,target=b"),
        ),
    ],
)
def test_all_runs_of_a_loop_have_the_same_graphs(faults, ready):
    plan = make(loops={"a": AttackedLoop(factory="a:b", faults=faults)})
    assert {trial.ready for trial in plan.trials()} == {ready}


def test_a_clean_run_is_as_long_as_the_longest_with_a_fault_can_be():
    plan = make()
    assert plan.faulty("before", 3, "nan").batches == horizon(Fault("nan"))
    assert plan.clean("before", 3).batches == horizon(Fault("nan", batch=30, batches=3)) + PATIENCE
    assert plan.clean("after", 3).batches == horizon(Fault("nan")) + PATIENCE
    assert make(loops={"a": AttackedLoop(factory="a:b", faults=())}).clean("a", 3).batches > 0


def test_a_long_run_has_the_time_of_a_run_for_each_epoch():
    plan = make(epochs=3, time_limit=20.0)
    assert {trial.epochs: trial.time_limit for trial in plan.trials()} == {None: 20.0, 3: 60.0}
    assert {trial.time_limit for trial in make().trials()} == {300.0}


def test_faults_are_written_in_one_way_and_each_once():
    assert canonical(["nan,batch=10", "scale=10000.0", "nan", "scale=1e4"]) == ("nan", "scale=10000")
    with pytest.raises(UsageError, match="boom"):
        canonical(["nan", "boom"])


def test_only_some_faults_of_some_loops():
    plan = make().only(("inf",), ["after"])
    assert {name: loop.faults for name, loop in plan.loops.items()} == {"after": ("inf",)}
    assert (plan.seeds, plan.preset, plan.loops["after"].options) == ((3, 5), "tiny", {"size": 3})


def test_variants_run_in_the_environment_of_after():
    settings = Settings(before="toys:plain", after="toys:guarded", preset="tiny", seed=3, batches=2)
    faults = Faults(matrix=("nan",), variants={"after, clip": Variant("toys:guarded", {})}, variant_faults=("inf",))
    homes = {"before": "revision=main (1a2b3c4)", "after": "working tree (5d6e7f8)"}
    here, there = (survival_plan(settings, faults, 1, 2, *more) for more in ((), (homes,)))
    assert {each.loop: (each.arm, each.home) for each in there.trials()} == {
        "before": ("before", homes["before"]),
        "after": ("after", homes["after"]),
        "after, clip": ("after", homes["after"]),
    }
    assert {(each.arm, each.home) for each in here.trials()} == {("", "")}
    assert not {each.key for each in here.trials()} & {each.key for each in there.trials()}
    moved = survival_plan(settings, faults, 1, 2, {**homes, "before": "revision=main (9e8f7a6)"})
    differing = {each.loop for each in moved.trials()} - {
        each.loop for each in there.trials() if each.key in {other.key for other in moved.trials()}
    }
    assert differing == {"before"}


@pytest.mark.parametrize("broken", [{"seeds": (-1,)}, {"epochs": -1}, {"time_limit": 0}, {"surprise": 1}])
def test_a_plan_is_checked_when_it_is_made(broken):
    with pytest.raises(ValueError, match=next(iter(broken))):
        make(**broken)


def test_every_fault_of_every_loop_is_judged_from_every_seed():
    plan = make()

    def answer(trial):
        if (trial.loop, trial.seed, trial.fault) == ("before", 5, "nan"):
            return whole(trial.batches, struck=(10,), first_bad_of={"weights": 10}, bad_weights=("0:weight",))
        return None

    record = outcome.record(plan, answered(plan, answer), HERE)
    assert {
        loop: [(each.fault, each.seed, each.outcome) for each in found] for loop, found in record.survivals.items()
    } == {
        "before": [
            ("nan", 3, "survived"),
            ("nan", 5, "poisoned weights"),
            (LATE, 3, "survived"),
            (LATE, 5, "survived"),
        ],
        "after": [("nan", 3, "survived"), ("nan", 5, "survived")],
    }
    assert (record.plan, record.environment, record.seconds) == (plan, HERE, 20.0)
    assert (record.undisturbed, record.curves) == ({}, {})
    assert record.created.tzinfo == datetime.timezone.utc


def test_a_seed_is_compared_with_its_own_clean_run():
    plan = make()
    crashed = Observation(ended="crashed", why="of something")
    tried = answered(plan, lambda trial: crashed if trial == plan.clean("before", 5) else None)
    record = outcome.record(plan, tried, HERE)
    untested = [
        (loop, each.seed, each.fault)
        for loop, found in record.survivals.items()
        for each in found
        if each.outcome == "not tested"
    ]
    assert untested == [("before", 5, "nan"), ("before", 5, LATE)]


@pytest.mark.parametrize(
    ("seen", "died"),
    [
        (whole(100), False),
        (whole(100, first_bad_of={"metrics": 99}), True),
        (whole(100, first_bad_of={"metrics": 0}), True),
        (Observation(ended="crashed", why="of something"), True),
        (Observation(ended="timed out", why="took longer"), False),
        (Observation(ended="not tested", why="the loop does not report its batches_per_epoch"), False),
    ],
)
def test_a_long_run_has_died_or_not(seen, died):
    plan = make(epochs=2)
    tried = answered(plan, lambda trial: seen if trial == plan.undisturbed("before", 5) else None)
    found = outcome.record(plan, tried, HERE).undisturbed
    assert found["before"][1] == Undisturbed(
        seed=5, ended=seen.ended, why=seen.why, batches=seen.batches, first_bad=seen.first_bad
    )
    assert {loop: [each.died for each in runs] for loop, runs in found.items()} == {
        "before": [False, died],
        "after": [False, False],
    }


def test_curves_hold_what_was_asked_for():
    plan = make()

    def answer(trial):
        if trial == plan.faulty("before", 5, LATE):
            return Observation(ended="crashed", metrics={"loss": (1.0, math.nan), "reward": (0.123456,)})
        if trial.loop == "before" and trial.fault == LATE:
            return whole(3, metrics={"loss": (1.0, 2.0, math.inf)}, struck=(30,))
        return None

    curves = outcome.record(plan, answered(plan, answer), HERE, shown=(LATE, "inf")).curves
    assert list(curves) == ["before"]  # the other loop is put through no such fault
    assert list(curves["before"]) == ["", LATE]
    clean = curves["before"][""]
    assert list(clean) == ["loss"]
    assert [len(series) for series in clean["loss"]] == [plan.clean("before", 3).batches] * 2
    assert clean["loss"][0][:3] == (1.0, 0.5, 0.3333)
    loss = curves["before"][LATE]["loss"]
    assert loss[0] == (1.0, 2.0, math.inf)
    assert loss[1][0] == 1.0
    assert math.isnan(loss[1][1])
    assert curves["before"][LATE]["reward"] == ((), (0.1235,))
    assert curves["before"][LATE][PACE] == ((1.0,) * 3, ())  # a process that was killed has left no steps


def record_of_everything():
    plan = make(epochs=2)

    def answer(trial):
        if trial.fault == LATE:
            return Observation(
                ended="crashed", why="\N{MULTIPLICATION SIGN}", worst=math.inf, metrics={"a": (math.nan,)}
            )
        return None

    return outcome.record(plan, answered(plan, answer), HERE, shown=("nan", LATE))


def test_a_record_comes_back_from_its_file(tmp_path):
    record = record_of_everything()
    path = record.write_as(tmp_path / "new" / "survival.json")
    again = SurvivalRecord.read(path)
    assert again.model_dump_json() == record.model_dump_json()
    assert again.undisturbed == record.undisturbed
    assert math.isnan(again.curves["before"][LATE]["a"][0][0])
    assert again.survivals["before"][2].worst == math.inf
    json.loads(path.read_text(), parse_constant=pytest.fail)  # bare NaN is no JSON
    assert [*path.parent.iterdir()] == [path]


def test_a_record_is_written_over_an_older_one(tmp_path):
    path = tmp_path / "survival.json"
    path.write_text("older")
    record_of_everything().write_as(path)
    assert SurvivalRecord.read(path).plan == make(epochs=2)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "no whole survival record (the file: Invalid JSON"),
        (lambda text: "", "no whole survival record (the file: Invalid JSON"),
        (lambda text: "[]", "no whole survival record (the file: "),
        (lambda text: text.replace(f'"schema_version": {SCHEMA}', '"schema_version": 1'), "is of schema 1, and this"),
        (lambda text: text.replace('"schema_version"', '"schema"'), "no whole survival record (schema: "),
        (lambda text: text.replace('"survived"', '"thrived"'), "no whole survival record (survivals.before.0.outcome"),
    ],
)
def test_what_is_no_whole_record_is_one_line(tmp_path, damage, says):
    path = record_of_everything().write_as(tmp_path / "survival.json")
    path.write_text(damage(path.read_text()))
    with pytest.raises(InvalidRecordError) as caught:
        SurvivalRecord.read(path)
    assert str(caught.value).startswith(f"record {path}: {says}")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_no_record(tmp_path):
    path = tmp_path / "survival.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRecordError, match="no whole survival record"):
        SurvivalRecord.read(path)


def test_a_missing_record_is_told_apart(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json: cannot be read \(No such file") as caught:
        SurvivalRecord.read(tmp_path / "none.json")
    assert not isinstance(caught.value, InvalidRecordError)


@pytest.mark.parametrize("outcome", ["not tested", "timed out"])
def test_runs_that_were_not_tested_or_hung_tell_nothing_and_a_crash_does(outcome):
    assert not one_survival(outcome).tested
    assert one_survival("crashed").tested
    assert not undisturbed(0, ended=outcome).tested
    assert undisturbed(0, ended="crashed").tested
    assert undisturbed(0).tested


def test_a_record_of_before_kinds_and_updates_is_read(tmp_path):
    path = record_of_everything().write_as(tmp_path / "survival.json")
    older = json.loads(path.read_text())
    for run in (each for runs in older["survivals"].values() for each in runs):
        del run["updates"], run["first_bad_of"]
    path.write_text(json.dumps(older))
    found = SurvivalRecord.read(path).survivals["before"][0]
    assert (found.updates, found.first_bad_of) == (None, {})
