import contextlib
import threading

import pytest

from bench.hostsync.context import Context

entered = []


@contextlib.contextmanager
def noting(value):
    entered.append(value)
    try:
        yield value
    finally:
        entered.remove(value)


@pytest.fixture
def context():
    entered.clear()
    yield Context(lambda: noting("it"))
    assert entered == []


def test_it_can_be_entered_again_and_inside_itself(context):
    for _ in range(2):
        with context as value, context:
            assert value == "it"
            assert entered == ["it", "it"]


def test_an_exception_passes(context):
    with pytest.raises(KeyError), context:
        raise KeyError


def test_it_decorates_functions_and_methods(context):
    class Loop:
        @context
        def step(self, x, *, y=1):
            """Trains."""
            assert entered
            return self, x, y

    loop = Loop()
    assert loop.step(2, y=3) == (loop, 2, 3)
    assert Loop.step.__doc__ == "Trains."


def test_threads_leave_what_they_have_entered(context):
    inside, leave = threading.Event(), threading.Event()

    def work():
        with context:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    with context:
        thread.start()
        inside.wait(10)
    assert entered == ["it"]
    leave.set()
    thread.join()


def test_what_runs_later_is_refused(context):
    async def coroutine():
        pass

    def generator():
        yield

    async def both():
        yield

    for function in (coroutine, generator, both):
        with pytest.raises(TypeError, match=f"{function.__name__} runs after it was called"):
            context(function)
