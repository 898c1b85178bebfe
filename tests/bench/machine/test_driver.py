import ctypes

import pytest

from loop_bench.machine import driver


class Library:
    """NVML's library, as far as it is asked."""

    def __init__(self, gpus=1, init=0, counting=0):
        self.gpus, self.init, self.counting, self.calls = gpus, init, counting, []

    def nvmlInit_v2(self):  # noqa: N802
        self.calls.append("init")
        return self.init

    def nvmlDeviceGetCount_v2(self, count):  # noqa: N802
        count._obj.value = self.gpus
        return self.counting

    def nvmlShutdown(self):  # noqa: N802
        self.calls.append("shutdown")
        return 0


@pytest.mark.parametrize(
    ("library", "there", "calls"),
    [
        (Library(), True, ["init", "shutdown"]),
        (Library(gpus=0), False, ["init", "shutdown"]),
        (Library(init=9), False, ["init"]),  # the driver is not loaded
        (Library(counting=999), False, ["init", "shutdown"]),
    ],
)
def test_the_driver_is_asked(monkeypatch, library, there, calls):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: {"libnvidia-ml.so.1": library}[name])
    assert driver.has_gpu() == there
    assert library.calls == calls


def test_without_a_driver_there_is_none(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not driver.has_gpu()
