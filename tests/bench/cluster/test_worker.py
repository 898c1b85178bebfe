import fcntl
import os
import threading

import psutil
import pytest
from trials import Adding, Sum, Threads, Wrong
from waiting import has_ended, until

from loop_bench.cluster import worker
from loop_bench.errors import UsageError
from loop_bench.jobs.forkserver import ForkServerError


@pytest.fixture
def engine():
    made = worker.Engine()
    yield made
    made.close()


def name_of(kind):
    return f"{kind.__module__}:{kind.__qualname__}"


@pytest.fixture
def forking():
    """Gives the processes that fork and were begun since; other tests may have some of their own."""

    def all_of_them():
        return [each for each in psutil.Process().children() if "forkserver_process" in " ".join(each.cmdline())]

    before = all_of_them()
    return lambda: [each for each in all_of_them() if each not in before]


def test_a_server_stays_for_its_class_and_code_and_the_idle_one_of_another_goes(engine, forking):
    run = lambda trial, digest="a": engine.run(trial, name_of(type(trial)), digest)  # noqa: E731
    assert run(Adding(terms=(1.0, 2.0))).found == Sum(value=3.0)
    (first,) = forking()
    run(Adding(terms=(2.0,)))
    assert forking() == [first]
    run(Adding(terms=(2.0,)), "b")
    (second,) = forking()
    assert second != first
    run(Threads())
    assert second not in forking()


def test_a_result_does_not_stay(engine):
    trial = Adding(terms=(1.0,))
    engine.run(trial, name_of(Adding), "a")
    (server,) = engine._servers.values()
    assert not server.folder.result(trial.key).exists()
    assert server.folder.path.exists()
    engine.close()
    assert not server.folder.path.exists()


def test_a_fork_server_that_has_died_is_replaced(engine, forking):
    trial = Adding(terms=(1.0,))
    engine.run(trial, name_of(Adding), "a")
    (first,) = forking()
    first.kill()
    until(lambda: has_ended(first))
    with pytest.raises(ForkServerError):
        engine.run(trial, name_of(Adding), "a")
    assert engine.run(trial, name_of(Adding), "a").ended == "whole"


def test_when_it_is_closed_what_runs_ends_and_nothing_begins(engine, tmp_path):
    from trials import Counted

    trial, ended = Counted(options={"begun": str(tmp_path / "begun"), "gate": str(tmp_path / "gate")}), []

    def run():
        try:
            engine.run(trial, name_of(Counted), "a")
        except RuntimeError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until((tmp_path / "begun").exists)
    engine.close()
    thread.join()
    assert ended
    with pytest.raises(RuntimeError, match="is closing"):
        engine.run(trial, name_of(Counted), "a")


def test_what_a_trial_asks_for_wrongly_has_the_name_of_its_machine(monkeypatch, engine):
    monkeypatch.setattr(worker, "ENGINE", engine)
    with pytest.raises(UsageError, match=rf"^{os.uname().nodename}: no such term$"):
        worker.run_trial(name_of(Wrong), Wrong().model_dump_json(), "a")


@pytest.mark.parametrize(
    ("alone", "other", "waits"), [(False, "SH", False), (False, "EX", True), (True, "SH", True), (True, "EX", True)]
)
def test_a_timed_trial_has_the_machine_to_itself(tmp_path, monkeypatch, alone, other, waits):
    monkeypatch.setattr(worker, "LOCK", tmp_path / "lock")
    with worker._machine(alone=True):
        pass
    held = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(held, getattr(fcntl, f"LOCK_{other}"))
    has_it = threading.Event()

    def use():
        with worker._machine(alone=alone):
            has_it.set()

    thread = threading.Thread(target=use)
    thread.start()
    assert has_it.wait(0.2 if waits else 60) != waits
    os.close(held)
    thread.join()
    assert has_it.is_set()
