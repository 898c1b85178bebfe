import pytest

from bench.machine import cuda


class Driver:
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
def driver(monkeypatch):
    def made(fails=None):
        monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: Driver(fails))

    return made


def test_its_place_as_nvml_has_it_too(driver):
    driver()
    assert [cuda.bus(number) for number in range(3)] == ["0000:0a:00.0", "0000:0b:00.0", None]


@pytest.mark.parametrize("fails", ["cuInit", "cuDeviceGetPCIBusId"])
def test_none_where_cuda_fails(driver, fails):
    driver(fails)
    assert cuda.bus(0) is None


def test_none_without_cuda(monkeypatch):
    monkeypatch.setattr(cuda, "_LIBRARY", "libnone.so")
    assert cuda.bus(0) is None
