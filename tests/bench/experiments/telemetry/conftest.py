import types

import pynvml
import pytest


@pytest.fixture
def nvml(monkeypatch):
    """NVML of a machine with one GPU, by what its functions answer; an error is raised."""
    plain = types.SimpleNamespace
    answers = {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": "handle",
        "nvmlDeviceGetPciInfo": plain(domain=0, bus=0x1B, device=0),
        "nvmlDeviceGetUtilizationRates": plain(gpu=63, memory=20),
        "nvmlDeviceGetMemoryInfo": plain(total=80, free=50, used=30),
        "nvmlDeviceGetComputeRunningProcesses": [plain(pid=1, usedGpuMemory=9), plain(pid=2, usedGpuMemory=20)],
        "nvmlDeviceGetPowerUsage": 345_600,
        "nvmlDeviceGetClockInfo": {pynvml.NVML_CLOCK_SM: 1200, pynvml.NVML_CLOCK_MEM: 2619},
        "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetCurrentClocksEventReasons": (
            pynvml.nvmlClocksEventReasonSwPowerCap | pynvml.nvmlClocksEventReasonGpuIdle
        ),
    }

    def function(name):
        def answer(*arguments):
            found = answers[name]
            if isinstance(found, Exception):
                raise found
            return found[arguments[1]] if isinstance(found, dict) else found

        return answer

    for name in answers:
        monkeypatch.setattr(pynvml, name, function(name))
    return answers
