import signal
import threading

import pytest

from loop_bench.seqgan.interrupt import Interrupt


@pytest.fixture(autouse=True)
def python_own():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_for_the_check(capfd):
    done = []
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        interrupt.check()
        signal.raise_signal(signal.SIGINT)
        done.append("the batch")
        interrupt.check()
        done.append("another batch")
    assert done == ["the batch"]
    assert capfd.readouterr().err == "stopping after this batch; Ctrl-C again stops at once\n"


def test_a_second_interrupt_does_not_wait():
    done = []
    with pytest.raises(KeyboardInterrupt), Interrupt():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append("the batch")
    assert done == []


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN, signal.SIG_DFL])
def test_leaves_the_signal_as_it_was(handler):
    signal.signal(signal.SIGINT, handler)
    with Interrupt():
        pass
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        interrupt.check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_changes_nothing_in_another_thread():
    handlers = []

    def work():
        with Interrupt() as interrupt:
            handlers.append(signal.getsignal(signal.SIGINT))
            interrupt.check()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
