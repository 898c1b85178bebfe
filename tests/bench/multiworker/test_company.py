"""Chief and workers in threads of one process, without TensorFlow's own connection between them."""

import contextlib
import re
import socket
import threading

import pytest

from loop_bench.arms.channel import Channel
from loop_bench.errors import UsageError
from loop_bench.failure import LoopError
from loop_bench.multiworker import company, follower
from loop_bench.multiworker.company import Company, WorkerError
from loop_bench.multiworker.follower import Follower, differences
from loop_bench.multiworker.task import Task

LOOPS = [("toys:plain", {})]
HERE = f"{__name__}:Counter"


class Counter:
    """Adds up numbers; reports the thread that it runs in."""

    def __init__(self, factory, start=0):
        self.factory, self.total = factory, start
        self.calls = []

    def add(self, number):
        self.calls.append(number)
        self.total += number
        return self.total

    def thread(self):
        return threading.current_thread().name

    def refuse(self):
        if self.thread().startswith("worker"):
            raise LoopError("loop 'a:b': run()", ArithmeticError("not today"))

    def fail(self):
        raise UsageError("both have failed")

    def break_off(self):
        """As an operation of all does that a worker has left."""
        if self.thread().startswith("worker"):
            raise LoopError("loop 'a:b': run()", ArithmeticError("not today"))
        raise RuntimeError("Collective ops is aborted by: something")


@pytest.fixture
def tasks():
    with socket.create_server(("127.0.0.1", 0)) as free:
        control = free.getsockname()
    addresses = ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
    return [Task(index, addresses, control) for index in range(3)]


@pytest.fixture
def told(monkeypatch):
    """What workers say; a machine is known without a look at this one."""
    said = []
    here = {"versions": {"tensorflow": "2.21.0", "keras": "3", "numpy": "2"}, "cpu": "a"}
    for module in (company, follower):
        monkeypatch.setattr(module, "environment", lambda: here)
    monkeypatch.setattr(follower, "_end_with", lambda *_: None)  # it would end the tests
    monkeypatch.setattr(company, "_SOON", 0.3)
    monkeypatch.setattr(company.collectives, "abort", said.append)
    return said


@contextlib.contextmanager
def following(tasks, told, follow=follower.follow):
    """Workers in threads."""

    def work(task):
        with contextlib.suppress(UsageError, LoopError):
            follow(task, told.append)

    threads = [threading.Thread(target=work, args=(task,), name=f"worker {task.index}") for task in tasks[1:]]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        for each in threads:
            each.join()


def test_what_is_done_here_is_done_on_every_worker(tasks, told):
    with following(tasks, told), Company(tasks[0], LOOPS) as workers:
        workers.begin([HERE])
        counter = workers.make(HERE, "toys:plain", 5)
        assert [counter.add(number) for number in (1, 2)] == [6, 8]
        assert counter.everywhere("thread") == [threading.current_thread().name, "worker 1", "worker 2"]
        assert counter.everywhere("add", 0) == [8, 8, 8]
        assert len(workers.machines) == 3
    assert told.count("the run is over") == 2
    assert "worker 2 (127.0.0.1:3), of 3 machines: looking for the chief at" in " ".join(told)


def test_two_objects_are_not_taken_for_one_another(tasks, told):
    with following(tasks, told), Company(tasks[0], LOOPS) as workers:
        workers.begin([HERE])
        one, other = (workers.make(HERE, "toys:plain", start) for start in (0, 100))
        one.add(1)
        assert other.everywhere("add", 1) == [101] * 3
        assert one.everywhere("add", 1) == [2] * 3


@pytest.mark.parametrize("method", ["refuse", "break_off"])
def test_a_loop_that_fails_on_a_worker_is_named_with_it(tasks, told, method):
    says = rf"worker [12] \(.*\), while calling {method}\(\) of toys:plain: .*ArithmeticError: not today"
    with following(tasks, told), pytest.raises(WorkerError, match=says), Company(tasks[0], LOOPS) as workers:
        workers.begin([HERE])
        getattr(workers.make(HERE, "toys:plain"), method)()


def test_a_failure_on_all_machines_is_reported_as_the_local_one(tasks, told):
    raises = pytest.raises(UsageError, match="both have failed")
    with following(tasks, told), raises, Company(tasks[0], LOOPS) as workers:
        workers.begin([HERE])
        workers.make(HERE, "toys:plain").fail()


def test_a_worker_that_dies_is_named_with_what_it_was_doing(tasks, told):
    def leaves(task, tell):
        channel = Channel(follower._connected(task, 5.0).detach())
        channel.send({"index": task.index, "addresses": task.addresses})
        served = Follower(channel, task, tell)
        genuine = served.follow
        served.follow = lambda **asked: channel.close() if task.index == 2 else genuine(**asked)
        with contextlib.suppress(EOFError, OSError, TypeError):
            served.serve()

    says = r"worker 2 \(127.0.0.1:3\) died or was ended while calling add\(\) of toys:plain"
    with following(tasks, told, leaves), pytest.raises(WorkerError, match=says), Company(tasks[0], LOOPS) as workers:
        workers.begin([HERE])
        workers.make(HERE, "toys:plain").add(1)


def test_a_worker_that_does_not_come_is_named(tasks, told):
    said = []
    with following(tasks[:2], told), pytest.raises(UsageError, match=r"worker 2 \(.*\): not connected after 0.5 s"):
        Company(tasks[0], LOOPS, said.append, patience=0.5).__enter__()
    assert said[-1] == "waiting for worker 2 (127.0.0.1:3); start `loop-bench worker` there"


def test_strangers_at_the_port_are_sent_away(tasks, told):
    def stranger():
        for message, is_closed in ((b"GET / HTTP/1.1\r\n\r\n", False), (b"GET", True), (b"", True)):
            with contextlib.suppress(OSError), socket.create_connection(tasks[0].control, 5) as connection:
                connection.sendall(message)
                if is_closed:
                    connection.shutdown(socket.SHUT_WR)
                connection.recv(1)  # the chief closes it

    said = []

    def tell(words):
        if not said:
            threads.append(threading.Thread(target=stranger))
            threads[0].start()
        said.append(words)

    threads = []
    with following(tasks, told), Company(tasks[0], LOOPS, tell) as workers:
        assert len(workers.machines) == 3
    threads[0].join()


def test_a_port_in_use_is_an_error(tasks, told):
    with socket.create_server(tasks[0].control), pytest.raises(UsageError, match="cannot listen for workers"):
        Company(tasks[0], LOOPS).__enter__()


def test_a_missing_chief_is_an_error(tasks, told):
    with pytest.raises(
        UsageError, match=r"no chief at 127.0.0.1:\d+ \(Connection refused\): start `loop-bench run` there"
    ):
        follower.follow(tasks[1], told.append, patience=0)


def introduction(tensorflow="2.21.0", code="abc"):
    return {
        "environment": {"versions": {"tensorflow": tensorflow, "keras": "3", "numpy": "2"}},
        "fingerprint": {"code of the loops": {"toys": code}, "script": "s"},
    }


def test_the_same_code_and_software_are_no_difference():
    assert differences(introduction(), introduction()) == []


def test_other_code_and_other_software_are_named():
    assert differences(introduction("2.20.0", "abd"), introduction()) == [
        "tensorflow 2.20.0 instead of 2.21.0",
        "a different code of the loops",
    ]


def test_a_worker_with_other_code_is_refused(tasks, told, monkeypatch):
    genuine = follower.folder.fingerprint

    def other(loops):
        name = threading.current_thread().name
        return {**genuine(loops), "code of the loops": name} if name == "worker 1" else genuine(loops)

    monkeypatch.setattr(follower.folder, "fingerprint", other)
    says = re.escape("worker 1 (127.0.0.1:2) has a different code of the loops: all machines need the same")
    with following(tasks, told), pytest.raises(UsageError, match=says):
        Company(tasks[0], LOOPS).__enter__()
