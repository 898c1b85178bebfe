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


class Cuda:
    """CUDA's driver, on a machine with two GPUs."""

    def __init__(self, fails=None):
        self.fails = fails

    def cuInit(self, flags):  # noqa: N802
        return int(self.fails == "cuInit")

    def cuDeviceGet(self, device, number):  # noqa: N802
        device._obj.value = 10 + number
        return 0 if number < 2 else 101

    def cuDeviceGetPCIBusId(self, text, length, device):  # noqa: N802
        text.value = f"0000:{device.value:02X}:00.0".encode()
        return int(self.fails == "cuDeviceGetPCIBusId" or length < 13)


@pytest.fixture
def cuda(monkeypatch):
    def made(fails=None):
        monkeypatch.setattr(ctypes, "CDLL", lambda name: Cuda(fails))

    return made


def test_its_place_as_nvml_has_it_too(cuda):
    cuda()
    assert [driver.bus(number) for number in range(3)] == ["0000:0a:00.0", "0000:0b:00.0", None]


@pytest.mark.parametrize("fails", ["cuInit", "cuDeviceGetPCIBusId"])
def test_none_where_cuda_fails(cuda, fails):
    cuda(fails)
    assert driver.bus(0) is None


def test_none_without_cuda(monkeypatch):
    monkeypatch.setattr(driver, "_CUDA", "libnone.so")
    assert driver.bus(0) is None
