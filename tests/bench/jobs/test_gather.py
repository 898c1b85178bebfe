import subprocess
from pathlib import Path

import pytest
from records import ENVIRONMENT
from trials import Adding, Asking, Cached, Door, FarDoor, Sum, TimedCounted, died, found

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.jobs import folder as folders
from loop_bench.jobs.gather import Processes, gather, in_processes, inline
from loop_bench.jobs.machines import Machine

HERE = {"cpu": "of some kind", "versions": {"tensorflow": "2.21.0"}, "gpus": [], "commit": None, "dirty": False}
TRIALS = [Adding(terms=terms, time_limit=20.0) for terms in ((), (1.0,), (1.0, 2.0))]
SUMS = [Sum(value=value) for value in (0.0, 1.0, 3.0)]


@pytest.fixture
def door():
    return Door(lambda trial: Sum(value=sum(trial.terms)))


def files(folder):
    """What is there: the file itself, not only what is in it."""
    return {path: (path.read_bytes(), path.stat().st_ino) for path in folder.glob("*.json")}


@pytest.mark.parametrize("run", [inline, in_processes])
def test_every_trial_has_its_result_wherever_it_runs(tmp_path, run, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    told = []
    results = gather(TRIALS, tmp_path / "new", environment=HERE, workers=2, progress=told.append, run=run)
    assert [results[trial.key].found for trial in TRIALS] == SUMS
    assert sorted(told) == sorted(trial.title for trial in TRIALS)
    assert all(result.time_limit == 20.0 for result in results.values())


def test_a_crash_in_a_process_of_its_own_and_one_that_takes_too_long_are_results(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(
        "import os, time, trials\n"
        "class Deadly(trials.Adding):\n"
        "    work = 'deadly:die'\n"
        "def die(trial):\n"
        "    if trial.terms: os.kill(os.getpid(), 9)\n"
        "    time.sleep(600)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import deadly

    work = [deadly.Deadly(terms=(1.0,)), deadly.Deadly(time_limit=0.5)]
    killed, late = gather(work, tmp_path / "trials", environment=HERE, workers=2).values()
    assert killed.died == "crashed: killed by SIGKILL, as the system does when memory runs out"
    assert late.died == "timed out: took longer than 0.5 s and was ended"
    assert (late.time_limit, late.found) == (0.5, None)


def test_the_variables_of_a_class_reach_its_processes(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr("loop_bench.jobs.pool.run", lambda server, jobs, folder, workers, died, done, environment: (
        seen.update(environment=environment, jobs=jobs),
        [folder.result(job.name).write_text(found(Cached(), Sum(value=1.0)).model_dump_json()) for job in jobs],
    ))  # fmt: skip
    gather([Cached(time_limit=7.0)], tmp_path, environment=HERE)
    assert seen["environment"] == {"OURS": str(tmp_path)}
    (job,) = seen["jobs"]
    assert job.arguments[:3] == ("-m", "loop_bench.jobs.process", "trials:Cached")
    assert Cached.model_validate_json(job.arguments[3]) == Cached(time_limit=7.0)
    assert (job.name, job.title, job.time_limit) == (Cached().key, Cached().title, 7.0)


def test_gatherings_share_a_server_and_keep_their_variables(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    with Processes(Asking, Cached) as run:
        folders_of_two = [tmp_path / "a", tmp_path / "b"]
        results = [gather([Asking()], each, environment=HERE, run=run) for each in folders_of_two]
    one, other = (result.found for each in results for result in each.values())
    assert one.parent == other.parent
    assert [one.ours, other.ours] == [str(each) for each in folders_of_two]
    assert one.may_grow == "true"


def test_finished_trials_are_kept_and_reported(tmp_path, door, monkeypatch):
    first = gather(TRIALS[:2], tmp_path, environment=HERE, run=door)
    there, told = files(tmp_path), []
    door.asked.clear()
    both = gather(TRIALS, tmp_path, environment=HERE, progress=told.append, run=door)
    assert door.asked == TRIALS[2:]
    assert {key: both[key] for key in first} == first
    assert files(tmp_path).items() >= there.items()
    assert told == [trial.title for trial in TRIALS]
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: pytest.fail("a process was started"))
    assert gather(TRIALS, tmp_path, environment=HERE) == both


def test_results_stay_in_their_files(tmp_path, door):
    results = gather(TRIALS, tmp_path, environment=HERE, run=door)
    key = TRIALS[0].key
    assert results[key] == results[key]
    assert results[key] is not results[key]


def test_finished_trials_are_reported_while_the_rest_is_read(tmp_path, door):
    gather(TRIALS, tmp_path, environment=HERE, run=door)
    (tmp_path / f"{TRIALS[1].key}.json").write_text("{")
    told = []
    with pytest.raises(InvalidRecordError):
        gather(TRIALS, tmp_path, environment=HERE, progress=told.append, run=door)
    assert told == [TRIALS[0].title]


def test_trials_of_one_key_are_one_trial(tmp_path, door):
    results = gather(
        [TRIALS[1], TRIALS[1].model_copy(update={"time_limit": 9.0})], tmp_path, environment=HERE, run=door
    )
    assert (len(results), len(door.asked)) == (1, 1)


def test_an_interrupted_run_resumes(tmp_path, door):
    door.interrupted_after = 1
    with pytest.raises(KeyboardInterrupt):
        gather(TRIALS, tmp_path, environment=HERE, run=door)
    door.interrupted_after = None
    assert len(gather(TRIALS, tmp_path, environment=HERE, run=door)) == 3
    assert door.asked == TRIALS


@pytest.mark.parametrize(("time_limit", "again"), [(19.0, False), (20.0, False), (21.0, True)])
def test_what_took_too_long_is_tried_again_when_it_is_given_more_time(tmp_path, time_limit, again):
    door = Door(lambda trial: died(trial, "timed out"))
    gather(TRIALS, tmp_path, environment=HERE, run=door)
    door = Door(lambda trial: Sum(value=5.0))
    longer, told = [trial.model_copy(update={"time_limit": time_limit}) for trial in TRIALS], []
    results = gather(longer, tmp_path, environment=HERE, progress=told.append, run=door)
    assert door.asked == (longer if again else [])
    assert {result.ended for result in results.values()} == {"whole" if again else "timed out"}
    assert told == [trial.title for trial in TRIALS]


def test_a_crash_is_a_result_whatever_time_there_is(tmp_path, door):
    gather(TRIALS, tmp_path, environment=HERE, run=Door(died))
    longer = [trial.model_copy(update={"time_limit": 1e6}) for trial in TRIALS]
    assert {result.ended for result in gather(longer, tmp_path, environment=HERE, run=door).values()} == {"crashed"}
    assert not door.asked


def test_a_damaged_result_is_named(tmp_path, door):
    gather(TRIALS, tmp_path, environment=HERE, run=door)
    path = tmp_path / f"{TRIALS[1].key}.json"
    path.write_text("{")
    with pytest.raises(InvalidRecordError, match=rf"{path.name}: cannot be read .*; remove it"):
        gather(TRIALS, tmp_path, environment=HERE, run=door)


def test_a_folder_in_use_keeps_what_took_too_long(tmp_path, monkeypatch, door):
    monkeypatch.setattr(folders, "WAITED", 0.0)
    gather(TRIALS, tmp_path, environment=HERE, run=Door(lambda trial: died(trial, "timed out")))
    there = files(tmp_path)
    longer = [trial.model_copy(update={"time_limit": 1e6}) for trial in TRIALS]
    with folders.locked(tmp_path), pytest.raises(UsageError, match="is in use by another run"):
        gather(longer, tmp_path, environment=HERE, run=door)
    assert files(tmp_path) == there


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Trials whose loop and script may be changed, with their results, and those files."""
    package, script = tmp_path / "desk" / "of_loops", tmp_path / "script.csv"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "training.py").write_text("make = None")
    script.write_text("all the words")
    monkeypatch.syspath_prepend(package.parent)
    trial = Adding(factory="of_loops:make", options={"script": str(script)})
    return [trial], tmp_path / "trials", package, script


def test_results_of_other_code_are_refused_by_name(desk, door):
    trials, folder, package, _ = desk
    gather(trials, folder, environment=HERE, run=door)
    training = package / "training.py"
    training.write_text("make = print")
    for _ in range(2):
        with pytest.raises(UsageError) as caught:
            gather(trials, folder, environment=HERE, run=door)
        assert str(caught.value) == (
            f"folder {folder}: its trials were made with another code of the loops; name a new folder, or delete "
            "this one"
        )
    training.write_text("make = None")
    assert len(gather(trials, folder, environment=HERE, run=door)) == 1


def test_results_with_another_script_are_refused_by_name(desk, door):
    trials, folder, package, script = desk
    gather(trials, folder, environment=HERE, run=door)
    (package.parent / "other.py").touch()  # what is in no package of a loop
    assert len(gather(trials, folder, environment=HERE, run=door)) == 1
    for change in (lambda: script.write_text("other words"), script.unlink):
        change()
        with pytest.raises(UsageError, match=r"its trials were made with another script; name a new folder"):
            gather(trials, folder, environment=HERE, run=door)


def test_results_of_another_machine_are_refused_by_name(tmp_path, door):
    gather(TRIALS, tmp_path, environment=HERE, run=door)
    there = {**HERE, "versions": {"tensorflow": "2.20.0"}, "python": "3.11"}
    with pytest.raises(UsageError) as caught:
        gather(TRIALS, tmp_path, environment=there, run=door)
    assert str(caught.value) == (
        f"folder {tmp_path}: its trials were made with another python, versions; name a new folder, or delete this one"
    )
    assert len(gather(TRIALS, tmp_path, environment={**HERE, "commit": "abc", "dirty": True}, run=door)) == 3


def far(cores=8):
    machine = Machine(host=f"host-{cores}", environment={**ENVIRONMENT, "cores": cores})
    return FarDoor(lambda trial: Sum(value=sum(trial.terms)), machine)


def test_on_other_machines_only_the_software_of_this_one_must_stay(tmp_path):
    there = far()
    first = gather(TRIALS[:2], tmp_path, environment=HERE, run=there)
    elsewhere = {**HERE, "cpu": "of another kind", "gpus": ["one"]}
    both = gather(TRIALS, tmp_path, environment=elsewhere, run=far(96))
    assert {key: both[key] for key in first} == first
    assert {result.machine.host for result in both.values()} == {"host-8", "host-96"}
    with pytest.raises(UsageError, match=r"its trials were made with another software; name a new folder"):
        gather(TRIALS, tmp_path, environment={**HERE, "versions": {"tensorflow": "2.20.0"}}, run=there)


def test_what_was_begun_here_does_not_go_on_there(tmp_path, door):
    gather(TRIALS[:2], tmp_path, environment=HERE, run=door)
    with pytest.raises(UsageError, match=r"its trials were made with another cpu, gpus, software, versions"):
        gather(TRIALS, tmp_path, environment=HERE, run=far())


def test_other_machines_are_given_a_machine_of_earlier_results(tmp_path):
    there = far()
    gather(TRIALS[:2], tmp_path, environment=HERE, run=there)
    gather(TRIALS, tmp_path, environment=HERE, run=there)
    assert there.known == [None, there.machine]


def test_times_of_several_kinds_are_refused_before_more_is_run(tmp_path):
    timed = [TimedCounted(terms=each.terms) for each in TRIALS]
    gather(timed[:1], tmp_path, environment=HERE, run=far())
    with pytest.raises(UsageError, match=r"times of several kinds of machine are not compared: .* on host-8; 96 cores"):
        gather(timed[:2], tmp_path, environment=HERE, run=far(96))
    third = far(8)
    with pytest.raises(UsageError, match="times of several kinds"):
        gather(timed, tmp_path, environment=HERE, run=third)
    assert third.asked == []


def test_a_folder_that_cannot_be_written(tmp_path, door):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        gather(TRIALS, tmp_path / "file", environment=HERE, run=door)


def test_no_trials_have_no_results(tmp_path):
    assert gather([], tmp_path, environment=HERE) == {}
