import os
import threading

import daskers
import pytest
from daskers import HERE, Daskers
from trials import Counted
from waiting import until

from loop_bench.cluster.place import place
from loop_bench.jobs.gather import gather


@pytest.fixture
def dask(tmp_path):
    """Begins schedulers and workers, with a TensorFlow that is none."""
    with Daskers(tmp_path, [daskers.stub(tmp_path)]) as begun:
        yield begun


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A scheduler with two workers, one of them with MACHINE; for tests that kill neither."""
    folder = tmp_path_factory.mktemp("shared")
    with Daskers(folder, [daskers.stub(folder)]) as begun:
        begun.scheduler()
        begun.worker()
        begun.worker(resources=None)
        yield begun


class Notes:
    """Trials that note when they begin, and wait for a gate."""

    def __init__(self, folder):
        self.file, self.gate = folder / "begun", folder / "gate"
        self.file.touch()

    def trial(self, term, kind=Counted, waits=False, **options):
        waiting = {"gate": str(self.gate)} if waits else {}
        return kind(terms=(float(term),), options={"begun": str(self.file), **waiting, **options}, time_limit=100.0)

    def begun(self, trial):
        """How often it has."""
        return self.file.read_text().split().count(trial.key)


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path)


@pytest.fixture
def run(tmp_path):
    """Gathers trials at an address; gives their results in order."""

    def run(trials, address, folder=tmp_path / "trials", progress=lambda title: None):
        with place(address) as where:
            results = gather(trials, folder, environment=HERE, run=where, progress=progress)
        return [results[trial.key] for trial in trials]

    return run


@pytest.fixture
def meanwhile():
    """Does something in a thread as soon as something holds."""
    threads = []

    def begin(holds, do):
        threads.append(threading.Thread(target=lambda: (until(holds), do())))
        threads[-1].start()

    yield begin
    for each in threads:
        each.join()


@pytest.fixture(autouse=True)
def quiet():
    """Dask's part of the environment is put back."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
