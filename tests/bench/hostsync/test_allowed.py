import threading

import pytest

from bench.hostsync.allowed import allow, reason


def test_a_reason_holds_inside():
    assert reason() is None
    with allow("outer"):
        with allow("inner"):
            assert reason() == "inner"
        assert reason() == "outer"
    assert reason() is None


def test_it_ends_with_an_exception_too():
    with pytest.raises(KeyError), allow("why"):
        raise KeyError
    assert reason() is None


def test_it_holds_for_its_own_thread():
    found = []
    with allow("mine"):
        thread = threading.Thread(target=lambda: found.append(reason()))
        thread.start()
        thread.join()
    assert found == [None]


def test_it_decorates():
    @allow("why")
    def step():
        return reason()

    assert [step(), step(), reason()] == ["why", "why", None]


@pytest.mark.parametrize("nothing", ["", "  ", 5, None])
def test_it_wants_a_reason(nothing):
    with pytest.raises(ValueError, match="wants a reason"), allow(nothing):
        pass
