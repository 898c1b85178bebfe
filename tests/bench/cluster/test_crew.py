import pytest
from daskers import HERE
from trials import Adding

from loop_bench.cluster import worker
from loop_bench.cluster.crew import Crew
from loop_bench.cluster.examination import Examined
from loop_bench.cluster.terms import Terms
from loop_bench.cluster.worker import Seen
from loop_bench.errors import UsageError
from loop_bench.jobs.machines import Machine

ENVIRONMENT = {**HERE, "cores": 8, "cpu": "a processor", "gpus": [], "gpu_driver": None}


@pytest.fixture
def terms():
    return Terms.of([Adding()], HERE)


class Client:
    """A client of workers that only seem to be there; `there` has what each says of itself when it is looked at."""

    def __init__(self, terms):
        self.terms, self.there, self.marks, self.looked = terms, {}, {}, []

    def add(self, address, resources=(), cores=8, gpus=(), visible=None, begun_with=None, host=None, **changes):
        machine = Machine(host=host or address, environment={**ENVIRONMENT, "cores": cores, "gpus": list(gpus)})
        examined = Examined(machine=machine, terms=self.terms.model_copy(update=changes), visible_gpus=visible)
        code = begun_with or self.terms.code["loop_bench"]
        seen = Seen(examined=examined, why="", resources=dict.fromkeys(resources, 1.0), begun_with=code)
        self.there[address] = seen.model_dump_json()

    def nthreads(self):
        return dict.fromkeys(self.there, 1)

    def run(self, function, *arguments, workers, on_error="raise"):
        (address,) = workers
        if function is worker.accept:
            self.marks.setdefault(address, []).append(arguments[0])
            return {address: None}
        assert function is worker.look
        self.looked.append(address)
        return {address: self.there[address]}


@pytest.fixture
def client(terms):
    return Client(terms)


@pytest.fixture
def crew(client, terms):
    """Makes the crew of a client; looks around until nothing new is found."""
    made = []

    def make(timed=False, kind=None):
        made.append(Crew(client, "tcp://s:1", "trials:Adding", terms, timed, kind, lambda: None))
        look(made[-1])
        return made[-1]

    yield make
    for each in made:
        each.close()


def look(crew):
    crew.look_around()
    for examination in [*crew._examinations.values()]:
        examination.exception()
    crew.look_around()


def test_a_worker_is_looked_at_once_and_marked(client, crew):
    client.add("a")
    found = crew()
    client.add("b")
    look(found)
    look(found)
    assert client.looked == ["a", "b"]
    assert client.marks == {"a": [found.mark], "b": [found.mark]}
    assert (found.size, found.needs) == (2, {found.mark: 1})
    del client.there["a"]
    look(found)
    assert found.size == 1
    client.add("a")  # begun anew at the same address
    look(found)
    assert client.looked == ["a", "b", "a"]


def test_marks_are_of_the_terms_the_class_and_the_kind(client, crew, terms):
    client.add("a", ["MACHINE"])
    one, other = crew(), crew(timed=True)
    assert one.mark != other.mark
    assert other.needs == {other.mark: 1, "MACHINE": 1}


def test_timed_trials_need_a_worker_that_declares_its_machine(client, crew, caplog):
    client.add("a")
    found = crew(timed=True)
    look(found)
    assert found.size == 0
    assert caplog.messages == [
        "no worker of tcp://s:1 can run these trials: worker a on a declares no MACHINE, which timed trials need; "
        "waiting for one: dask worker tcp://s:1 --nthreads 1 --resources 'MACHINE=1'"
    ]
    client.add("b", ["MACHINE"])
    look(found)
    assert (found.size, client.marks.keys()) == (1, {"b"})
    look(found)
    assert len(caplog.messages) == 1


def test_times_are_of_the_kind_that_most_are_of(client, crew, caplog):
    client.add("a", ["MACHINE"], cores=4)
    client.add("b", ["MACHINE"], cores=8)
    client.add("c", ["MACHINE"], cores=8)
    client.add("d", cores=4)
    found = crew(timed=True)
    assert client.marks.keys() == {"b", "c"}
    assert "trials are timed on one kind of machine only: 8 cores of a processor" in caplog.text
    assert "; not used: 4 cores of a processor" in caplog.text
    client.add("e", ["MACHINE"], cores=4)
    look(found)
    assert "e" not in client.marks


def test_a_kind_that_is_known_is_waited_for(client, crew, caplog):
    client.add("a", ["MACHINE"])
    found = crew(timed=True, kind="128 cores of another")
    look(found)
    assert found.size == 0
    assert "worker a on a is another kind of machine than 128 cores of another; waiting for one" in caplog.text


def test_outcomes_may_come_from_any_kind(client, crew):
    client.add("a", cores=4)
    client.add("b", cores=8)
    assert crew().size == 2


def test_a_gpu_is_one_trial_s(client, crew, caplog):
    client.add("a", ["GPU"], gpus=["H200"], visible="0", host="node")
    client.add("b", ["GPU"], gpus=["H200"], visible="1", host="node")
    client.add("c", ["GPU"], gpus=["H200"], visible="1", host="node")
    client.add("d", [], gpus=["H200"], visible="2", host="node")
    client.add("e", [], host="other")
    found = crew()
    assert client.marks.keys() == {"a", "b"}
    assert found.needs == {found.mark: 1, "GPU": 1}
    lacks = {each.address: each.lacks for each in found._usable}
    assert "has the same GPU as another worker" in lacks["c"]
    assert "sees a GPU and declares none: start it with GPU=1" in lacks["d"]
    assert lacks["e"] == "has no GPU, while others have one"


def test_unusable_workers_are_reported_and_the_others_work(client, crew, caplog):
    client.there["a"] = AttributeError("no such function")
    client.there["b"] = Exception("ModuleNotFoundError(\"No module named 'loop_bench'\")")
    client.add("c", begun_with="of old")
    client.add("d", software={**client.terms.software, "tensorflow": "2.20.0"})
    client.add("e")
    client.there["f"] = Seen(examined=None, why="crashed: of something", resources={}, begun_with="").model_dump_json()
    assert crew().size == 1
    told = dict(zip("abcdf", caplog.messages, strict=True))
    assert "cannot be examined (AttributeError: no such function); has it another loop-bench?" in told["a"]
    assert "loop-bench is not installed there; pip install" in told["b"]
    assert "loop-bench has changed there since it was started; restart it" in told["c"]
    assert "TensorFlow 2.20.0 (here 2.21.0)" in told["d"]
    assert "no trial can run there: crashed: of something" in told["f"]


def test_where_none_can_work_the_first_is_the_error(client, crew, caplog):
    for address in "ab":
        client.add(address, code={**client.terms.code, "trials": "other"})
    with pytest.raises(UsageError, match=r"^worker a on a: .* code of trials; .* \(nor can 1 other be used\)$"):
        crew()
    (told,) = caplog.messages  # of the other worker: the first one's is the error
    assert told.startswith("worker b on b: ")


def test_a_cluster_without_workers_is_waited_for(client, crew, caplog):
    found = crew()
    assert caplog.messages == [
        "no worker is connected to tcp://s:1; waiting for one: dask worker tcp://s:1 --nthreads 1 --resources "
        "'MACHINE=1'"
    ]
    client.add("a")
    look(found)
    assert found.size == 1
