import json
import os
import sys

import psutil
import pytest
from daskers import HERE, free_port
from trials import Counted, Threads, TimedCounted, Wrong
from waiting import has_ended, until

from loop_bench.cluster import place as module
from loop_bench.cluster.place import place
from loop_bench.errors import UsageError
from loop_bench.jobs.folder import CONDITIONS
from loop_bench.jobs.gather import gather, in_processes


def interrupt(notes, run, quick, slow, address):
    """Runs two trials, and interrupts the command when the first is done and the second has begun."""

    def when_both(title):
        until(lambda: notes.begun(slow))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([quick, slow], address, progress=when_both)


def worker_process(nanny):
    """The process of the worker that a nanny has begun."""
    found = [each for each in psutil.Process(nanny.pid).children() if "spawn_main" in " ".join(each.cmdline())]
    return found[0] if found else None


@pytest.mark.slow
def test_results_are_those_of_this_machine_and_say_where_they_come_from(shared, notes, run, tmp_path, monkeypatch):
    trials = [notes.trial(term) for term in range(4)]
    trials += [notes.trial(4, kill="trial"), notes.trial(5, waits=True).model_copy(update={"time_limit": 0.5})]
    there = run(trials, shared.address, tmp_path / "there")
    here = gather(trials, tmp_path / "here", environment=HERE, run=in_processes, workers=2)
    assert [each.ended for each in there] == ["whole"] * 4 + ["crashed", "timed out"]
    same = [each.model_copy(update={"machine": None, "seconds": 1.0}) for each in there]
    assert same == [here[trial.key].model_copy(update={"seconds": 1.0}) for trial in trials]
    assert [notes.begun(trial) for trial in trials] == [2] * 6
    assert {each.machine.host for each in there} == {os.uname().nodename}
    assert there[0].machine.environment["versions"] == HERE["versions"]
    conditions = json.loads((tmp_path / "there" / CONDITIONS).read_text())
    assert "of the submitting machine" not in conditions.values()
    assert conditions["software"]["tensorflow"] == HERE["versions"]["tensorflow"]


@pytest.mark.slow
def test_a_trial_runs_as_without_dask(shared, run):
    """Its variables are those that the worker was started with, and the worker has no TensorFlow."""
    from distributed import Client

    (found,) = run([Threads()], shared.address)
    assert found.found.value == float(os.environ.get("OMP_NUM_THREADS", 0)) != 1.0
    with Client(shared.address, set_as_default=False) as client:
        assert client.run(lambda: os.environ["OMP_NUM_THREADS"]) == dict.fromkeys(client.nthreads(), "1")
        assert not any(client.run(lambda: "tensorflow" in sys.modules).values())


@pytest.mark.slow
def test_an_interrupted_command_picks_up_trials_in_progress(shared, notes, run, caplog):
    quick, slow = notes.trial(1), notes.trial(2, waits=True)

    interrupt(notes, run, quick, slow, shared.address)
    assert "run the same command to collect them" in caplog.text
    notes.gate.touch()
    assert [each.ended for each in run([quick, slow], shared.address)] == ["whole", "whole"]
    assert [notes.begun(each) for each in (quick, slow)] == [1, 1]


@pytest.mark.slow
def test_a_worker_dies_between_a_command_and_its_repetition_with_one_of_its_loops_left(dask, notes, run):
    """What is left has fewer loops than the command had: a later worker must get the mark that its trials need."""
    dask.scheduler()
    both = [dask.worker(), dask.worker(resources=None)]
    quick = notes.trial(1).model_copy(update={"factory": "trials:make"})
    slow = notes.trial(2, waits=True).model_copy(update={"factory": "waiting:make"})

    interrupt(notes, run, quick, slow, dask.address)
    for each in both:
        dask.kill(each)
    dask.worker()
    notes.gate.touch()
    assert [each.ended for each in run([quick, slow], dask.address)] == ["whole", "whole"]
    assert notes.begun(quick) == 1


@pytest.mark.slow
def test_a_refused_worker_does_not_end_what_another_has_begun(dask, notes, run, meanwhile, caplog):
    dask.scheduler()
    good = dask.worker()
    dask.worker(STUB_TENSORFLOW="2.20.0")
    trial = notes.trial(1, waits=True)

    def kill():
        dask.kill(good)
        until(lambda: "can run these trials" in caplog.text)
        dask.worker()
        notes.gate.touch()

    meanwhile(lambda: notes.begun(trial), kill)
    assert [each.ended for each in run([trial], dask.address)] == ["whole"]
    assert "TensorFlow 2.20.0" in caplog.text


@pytest.mark.slow
def test_a_result_that_came_without_a_client_is_picked_up_too(shared, notes, run, tmp_path):
    quick, slow = notes.trial(1), notes.trial(2, waits=True)

    interrupt(notes, run, quick, slow, shared.address)
    notes.gate.touch()
    other = notes.trial(3)
    run([other, notes.trial(4)], shared.address, tmp_path / "others")  # takes both workers: it has come to its end
    assert [each.ended for each in run([quick, slow], shared.address)] == ["whole", "whole"]
    assert notes.begun(slow) == 1


@pytest.mark.slow
def test_what_a_trial_asks_for_wrongly_is_one_line(shared, run):
    with pytest.raises(UsageError, match=rf"the sum of 1, on {shared.address}: {os.uname().nodename}: no such term"):
        run([Wrong(terms=(1.0,))], shared.address)


@pytest.mark.slow
def test_the_trial_of_a_worker_that_dies_is_repeated(dask, notes, run, meanwhile):
    dask.scheduler()
    nannies = [dask.worker(), dask.worker(resources=None)]
    trials = [notes.trial(term, waits=True) for term in range(4)]

    def kill():
        worker_process(nannies[0]).kill()
        until(lambda: sum(map(notes.begun, trials)) == 3)  # somewhere it has begun anew, or another one has
        notes.gate.touch()

    meanwhile(lambda: sum(map(notes.begun, trials)) == 2, kill)
    assert [each.ended for each in run(trials, dask.address)] == ["whole"] * 4
    assert sorted(map(notes.begun, trials)) == [1, 1, 1, 2]


@pytest.mark.slow
def test_the_last_worker_dies_and_the_trial_waits_for_another(dask, notes, run, meanwhile, caplog):
    dask.scheduler()
    first = dask.worker()
    trial = notes.trial(1, waits=True)

    def kill():
        dask.kill(first)
        until(lambda: "no worker is connected" in caplog.text)
        dask.worker(resources=None)
        until(lambda: notes.begun(trial) == 2)
        notes.gate.touch()

    meanwhile(lambda: notes.begun(trial), kill)
    assert [each.ended for each in run([trial], dask.address)] == ["whole"]
    assert f"waiting for one: dask worker {dask.address} --nthreads 1 --resources 'MACHINE=1'" in caplog.text


@pytest.mark.slow
def test_a_trial_that_kills_its_workers_is_a_crash(dask, notes, run, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    dask.scheduler()
    dask.worker()
    dask.worker(resources=None)
    deadly, other = run([notes.trial(1, kill="worker"), notes.trial(2)], dask.address)
    assert (deadly.ended, other.ended) == ("crashed", "whole")
    assert deadly.why.startswith("1 workers died while running it, the last one")


@pytest.mark.slow
def test_a_scheduler_that_comes_back_has_what_is_left_only(dask, notes, run, meanwhile, caplog):
    scheduler, worker = dask.scheduler(), dask.worker()
    quick, slow = notes.trial(1), notes.trial(2, waits=True)

    def kill():
        dask.kill(scheduler)
        until(lambda: has_ended(psutil.Process(worker.pid)) or worker.poll() is not None)
        dask.scheduler()
        dask.worker()
        until(lambda: notes.begun(slow) == 2)
        notes.gate.touch()

    meanwhile(lambda: notes.begun(slow), kill)
    assert [each.ended for each in run([quick, slow], dask.address)] == ["whole", "whole"]
    assert [notes.begun(each) for each in (quick, slow)] == [1, 2]
    assert "is lost" in caplog.text
    assert "is back" in caplog.text


@pytest.mark.slow
def test_a_scheduler_that_does_not_come_back_is_one_line(dask, notes, run, meanwhile, monkeypatch):
    monkeypatch.setattr(module, "RETURNS", 0.1)
    monkeypatch.setattr(module, "CONNECTS", 0.5)
    scheduler, _ = dask.scheduler(), dask.worker()
    quick, slow = notes.trial(1), notes.trial(2, waits=True)
    meanwhile(lambda: notes.begun(slow), lambda: dask.kill(scheduler))
    with pytest.raises(UsageError, match=r"did not come back within 0.1 s; run the same command again to resume"):
        run([quick, slow], dask.address)
    assert notes.begun(quick) == 1


@pytest.mark.slow
def test_a_worker_with_other_software_or_code_is_refused_by_name(dask, notes, run, tmp_path, caplog):
    for name, source in (("here", "make = 1"), ("there", "make = 2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lonely_loops.py").write_text(source)
    sys.path.insert(0, str(tmp_path / "here"))
    try:
        dask.scheduler()
        dask.worker(STUB_TENSORFLOW="2.20.0")
        dask.wait_for(1)
        trial = notes.trial(1).model_copy(update={"factory": "lonely_loops:make"})
        with pytest.raises(UsageError) as refused:
            run([trial], dask.address)
        assert "on vm: is not used" in str(refused.value).replace(os.uname().nodename, "vm")
        assert "TensorFlow 2.20.0 (here 2.21.0); have the same commit or wheel" in str(refused.value)
        dask.path.insert(0, str(tmp_path / "there"))
        dask.worker()
        dask.wait_for(2)
        with pytest.raises(UsageError, match=r"\(nor can 1 other be used\)") as refused:
            run([trial], dask.address)
        assert "code of lonely_loops;" in f"{refused.value}{caplog.text}"  # the error is the first by address
        dask.path.pop(0)
        dask.worker()
        dask.wait_for(3)
        (found,) = run([trial], dask.address)
        assert (found.ended, notes.begun(trial)) == ("whole", 1)
    finally:
        sys.path.remove(str(tmp_path / "here"))


@pytest.mark.slow
def test_a_worker_without_loop_bench_is_one_line(dask, notes, run, tmp_path):
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'loop_bench': \n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Without())\n"
    )
    dask.path.insert(0, str(tmp_path / "without"))
    dask.scheduler()
    dask.worker()
    with pytest.raises(UsageError, match=r"worker tcp://\S+: loop-bench is not installed there; pip install"):
        run([notes.trial(1)], dask.address)


@pytest.mark.slow
def test_times_are_taken_on_one_kind_of_machine(dask, notes, run, caplog):
    dask.scheduler()
    for cores in ("8", "16", "16"):
        dask.worker(STUB_CORES=cores)
    dask.worker(resources=None, STUB_CORES="16")
    dask.wait_for(4)
    found = run([notes.trial(term, kind=TimedCounted) for term in range(6)], dask.address)
    assert {each.machine.environment["cores"] for each in found} == {16}
    assert "trials are timed on one kind of machine only: 16 cores of" in caplog.text
    other = run([notes.trial(term, kind=TimedCounted) for term in range(7)], dask.address)  # of the folder's kind
    assert {each.machine.environment["cores"] for each in other} == {16}


@pytest.mark.slow
def test_a_cluster_on_this_machine_is_gone_with_the_command(notes, run, monkeypatch, tmp_path):
    import daskers

    monkeypatch.syspath_prepend(daskers.stub(tmp_path))  # its workers have the path of this process
    before = {*psutil.Process().children(recursive=True)}
    found = run([notes.trial(term, kind=kind) for term, kind in enumerate([Counted] * 4)], "local:2")
    assert [each.ended for each in found] == ["whole"] * 4
    begun = {*psutil.Process().children(recursive=True)} - before
    left = [each for each in begun if not has_ended(each) and "resource_tracker" not in " ".join(each.cmdline())]
    assert left == []  # but for the one that Python itself keeps


def test_where_nothing_answers_there_is_no_place(monkeypatch):
    monkeypatch.setattr(module, "CONNECTS", 0.2)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(UsageError, match=rf"--on {address}: no Dask scheduler answers there"), place(address):
        pass
