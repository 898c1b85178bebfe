import datetime
import json
import math
import subprocess
import sys

import pytest

from bench.errors import InvalidRecordError, UsageError
from bench.experiments.survival import outcome, running
from bench.experiments.survival.fault import Fault
from bench.experiments.survival.observation import PATIENCE, Observation, horizon
from bench.experiments.survival.plan import Loop, Plan, canonical
from bench.experiments.survival.record import PACE, SCHEMA, SurvivalRecord, Undisturbed
from bench.experiments.survival.trial import Trial, Tried
from bench.jobs import pool

LATE = "nan,batch=30,batches=3"
HERE = {"cpu": "of some kind", "versions": {"tensorflow": "2.21.0"}, "gpus": [], "commit": None, "dirty": False}


def make(**changes):
    given = {
        "loops": {
            "before": Loop(factory="toys:plain", faults=("nan", LATE)),
            "after": Loop(factory="toys:guarded", options={"size": 3}, faults=("nan",)),
        },
        "preset": "tiny",
        "seeds": (3, 5),
    }
    return Plan(**{**given, **changes})


def whole(batches, **changes):
    given = {
        "metrics": {"loss": tuple(1 / (1 + n) for n in range(batches))},
        "steps": {"0:weight": (1.0,) * batches},
    }
    return Observation(ended="whole", **{**given, **changes})


def answered(plan, answers=lambda trial: None):
    """What came of all trials of a plan, `answers` for some of them."""
    found = {}
    for trial in plan.trials():
        struck = () if trial.fault is None else (Fault.parse(trial.fault).batch,)
        seen = answers(trial) or whole(trial.batches or 100, struck=struck)
        found[trial.job.name] = Tried(trial=trial, observation=seen, seconds=2.0)
    return found


def test_each_seed_is_complete_before_the_next_one():
    trials = make(epochs=2).trials()
    assert [(each.seed, each.loop, each.fault, each.epochs) for each in trials] == [
        (seed, loop, fault, epochs)
        for seed in (3, 5)
        for loop, fault, epochs in (
            ("before", None, None),
            ("before", "nan", None),
            ("before", LATE, None),
            ("before", None, 2),
            ("after", None, None),
            ("after", "nan", None),
            ("after", None, 2),
        )
    ]
    assert len({each.job.name for each in trials}) == len(trials)


def test_without_epochs_there_is_no_long_run():
    assert [each.epochs for each in make().trials()] == [None] * 10


def test_a_trial_is_of_its_loop():
    clean = make().clean("after", 5)
    assert clean == Trial(
        loop="after", factory="toys:guarded", preset="tiny", seed=5, options={"size": 3}, batches=clean.batches
    )


def test_a_clean_run_is_as_long_as_the_longest_with_a_fault_can_be():
    plan = make()
    assert plan.faulty("before", 3, "nan").batches == horizon(Fault("nan"))
    assert plan.clean("before", 3).batches == horizon(Fault("nan", batch=30, batches=3)) + PATIENCE
    assert plan.clean("after", 3).batches == horizon(Fault("nan")) + PATIENCE
    assert make(loops={"a": Loop(factory="a:b", faults=())}).clean("a", 3).batches > 0


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


@pytest.mark.parametrize("broken", [{"seeds": (-1,)}, {"epochs": -1}, {"time_limit": 0}, {"surprise": 1}])
def test_a_plan_is_checked_when_it_is_made(broken):
    with pytest.raises(ValueError, match=next(iter(broken))):
        make(**broken)


def test_every_fault_of_every_loop_is_judged_from_every_seed():
    plan = make()

    def answer(trial):
        if (trial.loop, trial.seed, trial.fault) == ("before", 5, "nan"):
            return whole(trial.batches, struck=(10,), first_bad=10, bad_weights=("0:weight",))
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
    assert record.created.tzinfo == datetime.UTC


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
        (whole(100, first_bad=99), True),
        (whole(100, first_bad=0), True),
        (Observation(ended="crashed", why="of something"), True),
        (Observation(ended="timed out", why="took longer"), False),
        (Observation(ended="not tested", why="the loop does not say how many batches make an epoch"), False),
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


EMPTY = Plan(loops={}, preset="tiny", seeds=())


def test_trials_of_another_environment_are_refused_by_name(tmp_path):
    assert running.run(EMPTY, tmp_path, HERE, 1) == {}
    assert running.run(EMPTY, tmp_path, dict(reversed(HERE.items())), 1) == {}
    (tmp_path / "trial.json").touch()
    there = {**HERE, "versions": {"tensorflow": "2.20.0"}, "python": "3.11"}
    with pytest.raises(UsageError) as caught:
        running.run(EMPTY, tmp_path, there, 1)
    assert str(caught.value) == (
        f"folder {tmp_path}: its trials were made with another python, versions; name a new folder, or delete this one"
    )
    assert running.run(EMPTY, tmp_path, HERE, 1) == {}  # what it had noted is left as it was


def test_a_folder_without_a_trial_is_as_new(tmp_path):
    running.same_environment(tmp_path, HERE)  # and then the loop's author had something to mend
    running.same_environment(tmp_path, {**HERE, "code of the loops": "mended"})
    (tmp_path / "trial.json").touch()
    with pytest.raises(UsageError, match="made with another code of the loops"):
        running.same_environment(tmp_path, HERE)


def test_a_commit_alone_makes_no_difference(tmp_path):
    running.run(EMPTY, tmp_path, HERE, 1)
    assert running.run(EMPTY, tmp_path, {**HERE, "commit": "abc", "dirty": True}, 1) == {}
    assert running.run(EMPTY, tmp_path, {"cpu": HERE["cpu"], "versions": HERE["versions"], "gpus": []}, 1) == {}


def test_an_environment_is_the_same_as_its_file(tmp_path):
    values = {"gpus": ("one", "two"), "loads": {1: 2}}
    running.run(EMPTY, tmp_path, values, 1)
    assert running.run(EMPTY, tmp_path, values, 1) == {}


@pytest.mark.parametrize("content", ["", '{"cpu": ', "[1]", "3", "\N{REPLACEMENT CHARACTER}"])
def test_a_damaged_note_of_the_environment_is_one_line(tmp_path, content):
    (tmp_path / "environment.json").write_text(content)
    (tmp_path / "trial.json").touch()
    with pytest.raises(InvalidRecordError, match=r"environment\.json: does not say where the trials were made"):
        running.run(EMPTY, tmp_path, HERE, 1)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        running.run(EMPTY, tmp_path / "file", HERE, 1)


@pytest.fixture
def no_processes(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("a process was started")

    def forbid():
        monkeypatch.setattr(subprocess, "Popen", fail)

    return forbid


def leave(folder, tried):
    for each in tried.values():
        pool.result(folder, each.trial.job).write_text(each.model_dump_json())


def test_trials_that_are_there_are_taken_as_they_are(tmp_path, no_processes):
    no_processes()
    plan = make()
    tried = answered(plan)
    leave(tmp_path, tried)
    told = []
    assert running.run(plan, tmp_path, HERE, 2, told.append) == tried
    assert sorted(told) == sorted(trial.job.title for trial in plan.trials())


def test_a_damaged_trial_is_named(tmp_path, no_processes):
    no_processes()
    plan = make()
    leave(tmp_path, answered(plan))
    path = pool.result(tmp_path, plan.clean("after", 3).job)
    path.write_text("{")
    with pytest.raises(InvalidRecordError, match=rf"{path.name}: cannot be read .*; remove it"):
        running.run(plan, tmp_path, HERE, 2)


def test_flags_of_ones_own_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--mine=1")
    flags = running._of_processes(tmp_path / "a folder")["TF_XLA_FLAGS"]
    assert flags.startswith("--mine=1 --")
    assert f'--tf_xla_persistent_cache_directory="{tmp_path}/a folder/xla" ' in flags
    monkeypatch.delenv("TF_XLA_FLAGS")
    assert running._of_processes(tmp_path / "a folder")["TF_XLA_FLAGS"] == flags.removeprefix("--mine=1 ")


@pytest.fixture
def left(tmp_path, monkeypatch, no_processes):
    """A folder with all trials of a plan whose loop and script may be changed."""
    package, script = tmp_path / "desk" / "of_loops", tmp_path / "script.csv"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "training.py").write_text("make = None")
    script.write_text("all the words")
    monkeypatch.syspath_prepend(package.parent)
    plan = make(loops={"before": Loop(factory="of_loops:make", options={"script": str(script)}, faults=("nan",))})
    folder = tmp_path / "trials"
    folder.mkdir()
    leave(folder, answered(plan))
    no_processes()
    running.run(plan, folder, HERE, 1)
    return plan, folder, package, script


def test_trials_of_other_code_are_refused_by_name(left):
    plan, folder, package, _ = left
    training = package / "training.py"
    training.write_text("make = print")
    for _ in range(2):
        with pytest.raises(UsageError) as caught:
            running.run(plan, folder, HERE, 1)
        assert str(caught.value) == (
            f"folder {folder}: its trials were made with another code of the loops; name a new folder, or delete "
            "this one"
        )
    training.write_text("make = None")
    assert len(running.run(plan, folder, HERE, 1)) == 4


def test_trials_with_another_script_are_refused_by_name(left):
    plan, folder, package, script = left
    (package.parent / "other.py").touch()  # what is in no package of a loop
    assert len(running.run(plan, folder, HERE, 1)) == 4
    for change in (lambda: script.write_text("other words"), script.unlink):
        change()
        with pytest.raises(UsageError, match=r"its trials were made with another script; name a new folder"):
            running.run(plan, folder, HERE, 1)


@pytest.fixture
def worked(monkeypatch):
    """Does the jobs without a process; gives the time that each had."""
    times = {}

    def run(work, folder, workers, died, tell, environment, preload, again):
        for job in work:
            path = pool.result(folder, job)
            if job.name in again or not path.exists():
                times[job.name] = job.time_limit
                trial = Trial.model_validate_json(job.arguments[-1])
                path.write_text(Tried(trial=trial, observation=whole(3), seconds=1.0).model_dump_json())
                tell(job)

    monkeypatch.setattr(pool, "run", run)
    return times


@pytest.mark.parametrize(("time_limit", "again"), [(19.0, False), (20.0, False), (21.0, True)])
def test_what_took_too_long_is_tried_again_when_it_is_given_more_time(tmp_path, worked, time_limit, again):
    short, plan = make(time_limit=20.0), make(time_limit=time_limit)
    late, crashed = short.faulty("before", 5, LATE), short.faulty("before", 3, "nan")
    answers = {
        late.job: Observation(ended="timed out", why="took longer"),
        crashed.job: Observation(ended="crashed", why="of something"),
    }
    tried = answered(short, lambda trial: answers.get(trial.job))
    leave(tmp_path, tried)
    told = []
    found = running.run(plan, tmp_path, HERE, 2, told.append)
    assert worked == ({late.job.name: time_limit} if again else {})
    assert found[late.job.name].observation.ended == ("whole" if again else "timed out")
    assert found[crashed.job.name] == tried[crashed.job.name]
    assert sorted(told) == sorted(trial.job.title for trial in plan.trials())
    assert running.run(plan, tmp_path, HERE, 2).keys() == found.keys()
    assert len(worked) == again


def test_a_folder_in_use_keeps_what_took_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "_WAITED", 0.0)
    leave(tmp_path, answered(make(time_limit=20.0), lambda trial: Observation(ended="timed out", why="took longer")))
    there = {path: path.read_bytes() for path in tmp_path.glob("*.json")}
    with pool._locked(tmp_path), pytest.raises(UsageError, match="is in use by another run"):
        running.run(make(), tmp_path, HERE, 2)
    assert there.items() <= {path: path.read_bytes() for path in tmp_path.glob("*.json")}.items()


def test_processes_begin_with_what_takes_long_to_import_and_with_no_device(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(pool, "run", lambda *args: given.update(zip(("preload", "again"), args[-2:], strict=True)))
    running.run(EMPTY, tmp_path, HERE, 1)
    code = (
        "import importlib, sys\n"
        "for module in sys.argv[1:]: importlib.import_module(module)\n"
        "there = {'tensorflow', 'keras', 'bench.experiments.survival.watching'} <= sys.modules.keys()\n"
        "from tensorflow.python.eager import context\n"
        "print(there, context.context()._initialized)"
    )
    asked = [sys.executable, "-c", code, *given["preload"]]
    found = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert found.stdout == "True False\n"


FRAGILE = """
import os, signal, time
import numpy as np
import toys


class Fragile(toys.Quadratic):
    # Hangs on infinity, and is killed when all its weights are not numbers.

    def run(self, batches):
        if np.isinf(self.weight.numpy()).any():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        super().run(batches)
        if np.isnan(self.weight.numpy()).all():
            os.kill(os.getpid(), signal.SIGKILL)


def make(spec):
    return Fragile(spec.seed)
"""


def test_loops_live_and_die_in_processes_of_their_own(tmp_path, monkeypatch, no_processes):
    (tmp_path / "fragile.py").write_text(FRAGILE)
    monkeypatch.syspath_prepend(tmp_path)  # what can be imported here can be in the processes
    plan = Plan(
        loops={
            "before": Loop(factory="fragile:make", faults=("inf,in=weights", "nan", "nan,extent=element")),
            "after": Loop(factory="toys:guarded", faults=("nan",)),
        },
        preset="tiny",
        seeds=(1,),
        time_limit=30.0,
    )
    told = []
    tried = running.run(plan, tmp_path / "trials", HERE, 2, told.append)
    record = outcome.record(plan, tried, HERE, shown=("nan",))
    assert {
        loop: {each.fault: (each.outcome, each.reason.partition(";")[0]) for each in found}
        for loop, found in record.survivals.items()
    } == {
        "before": {
            "inf,in=weights": ("timed out", "took longer than 30 s and was ended"),
            "nan": ("crashed", "killed by SIGKILL, as the system does when memory runs out"),
            "nan,extent=element": ("poisoned weights", "1 weights not finite from batch 10 on"),
        },
        "after": {"nan": ("skipped", "1 update, bit for bit as before")},
    }
    assert sorted(told) == sorted(trial.job.title for trial in plan.trials())
    assert [len(each) for each in record.curves["after"]["nan"]["loss"]] == [plan.faulty("after", 1, "nan").batches]
    assert record.seconds > 30

    there = {path: path.read_bytes() for path in (tmp_path / "trials").glob("*.json")}
    no_processes()
    again = running.run(plan, tmp_path / "trials", HERE, 2)
    assert {name: each.model_dump_json() for name, each in again.items()} == {
        name: each.model_dump_json() for name, each in tried.items()
    }
    assert {path: path.read_bytes() for path in (tmp_path / "trials").glob("*.json")} == there
    path = record.write_as(tmp_path / "survival.json")
    assert SurvivalRecord.read(path).model_dump_json() == record.model_dump_json()
