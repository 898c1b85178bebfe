import os
import types

import pynvml
import pytest
import tensorflow as tf

from loop_bench.cli import pytest_options
from loop_bench.cli.plugin import BENCH
from loop_bench.errors import UsageError
from loop_bench.machine import gpu


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # `require` sets it where it is not set
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def hot(monkeypatch):
    """One GPU, hot, with another process on it."""
    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: "NVIDIA H100",
        "nvmlDeviceGetClockInfo": lambda handle, clock: {pynvml.NVML_CLOCK_SM: 1200, pynvml.NVML_CLOCK_MEM: 2619}[
            clock
        ],
        "nvmlDeviceGetMaxClockInfo": lambda handle, clock: 1980,
        "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: (
            pynvml.nvmlClocksEventReasonSwThermalSlowdown | pynvml.nvmlClocksEventReasonGpuIdle
        ),
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [types.SimpleNamespace(pid=pid) for pid in (4711, 1)],
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    return answers


def test_what_nvml_tells(hot):
    assert gpu.states() == [
        {
            "name": "NVIDIA H100",
            "sm_mhz": 1200,
            "max_sm_mhz": 1980,
            "memory_mhz": 2619,
            "throttled_by": ["software thermal slowdown"],  # idling is no throttling
            "other_processes": 1,
        }
    ]


def test_use_of_a_gpu(hot, monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlDeviceGetPersistenceMode", lambda handle: 0)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda handle: types.SimpleNamespace(used=3 << 30))
    expected = gpu.Use("NVIDIA H100", False, 2, 3072, ("software thermal slowdown",))
    assert gpu.uses() == [expected]
    for name in ("nvmlDeviceGetPersistenceMode", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetComputeRunningProcesses"):
        monkeypatch.setattr(pynvml, name, refuse)
    assert gpu.uses() == [gpu.Use("NVIDIA H100", None, None, None, ("software thermal slowdown",))]


def test_what_it_refuses_is_unknown_and_the_rest_is_kept(hot, monkeypatch):
    for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetComputeRunningProcesses"):
        monkeypatch.setattr(pynvml, name, refuse)
    (found,) = gpu.states()
    assert (found["throttled_by"], found["other_processes"], found["sm_mhz"]) == (None, None, 1200)


@pytest.mark.parametrize(
    ("rates", "found"), [([0, 37], 0.37), ([100], 1.0), ([None, 12], 0.12), ([None], None), ([0], 0.0)]
)
def test_how_busy_the_busiest_gpu_is_from_now_on(hot, monkeypatch, rates, found):
    waited = []
    monkeypatch.setattr(gpu.time, "sleep", waited.append)

    def rate(handle):
        assert waited == [1.2]  # NVML tells of the second that is over
        return types.SimpleNamespace(gpu=rates[handle], memory=99) if rates[handle] is not None else refuse()

    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: len(rates))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", rate)
    assert gpu.busy_now() == found


def test_without_a_driver_nothing_is_waited_for(hot, monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    monkeypatch.setattr(gpu.time, "sleep", lambda seconds: pytest.fail("it waits"))
    assert gpu.busy_now() is None


def test_a_gpu_is_shared_unless_someone_says_otherwise(monkeypatch):
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "")
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH")
    gpu.share()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    gpu.share()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"


@pytest.fixture
def nvml(monkeypatch):
    """A driver and one GPU; gives the names, to be changed."""
    names = ["NVIDIA H100"]
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "580.1")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: len(names))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda index: names[index])
    return names


def refuse(*_):
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def test_nvml_is_open_inside_and_closed_after_whatever_happens(nvml, monkeypatch):
    calls = []
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: calls.append("opened"))
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: calls.append("closed"))
    with gpu.handles() as found:
        assert (found, calls) == ([0], ["opened"])
    with pytest.raises(RuntimeError), gpu.nvml():
        raise RuntimeError
    assert gpu.driver() == "580.1"
    assert calls == ["opened", "closed"] * 3


@pytest.mark.parametrize("refused", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_without_nvml_there_are_no_handles(nvml, monkeypatch, refused):
    monkeypatch.setattr(pynvml, refused, refuse)
    with gpu.handles() as found:
        assert found == []


def test_without_nvml_there_is_no_driver(nvml, monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    assert gpu.driver() is None


@pytest.fixture
def unseen(monkeypatch):
    """TensorFlow lists no GPU."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])


@pytest.fixture
def listed(monkeypatch):
    """TensorFlow lists one, where in truth there may be none."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])


def refusal(of=gpu.require):
    with pytest.raises(UsageError) as caught:
        of()
    message = str(caught.value)
    assert message.startswith("--require-gpu: ")
    assert "\n" not in message
    return message


def test_without_a_driver_there_is_nothing(unseen, monkeypatch):
    def fail():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert "TensorFlow sees no GPU; NVML finds no driver" in refusal()


def test_a_gpu_that_tensorflow_has_no_libraries_for(unseen, nvml, monkeypatch):
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: True)
    assert refusal().endswith(
        "NVML sees NVIDIA H100 (driver 580.1): "
        "TensorFlow's CUDA libraries are missing; the extra gpu brings them: pip install 'loop-bench[gpu]'"
    )


def test_a_tensorflow_without_cuda(unseen, nvml, monkeypatch):
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: False)
    assert "built without CUDA; install its build with CUDA: pip install 'loop-bench[gpu]'" in refusal()


def test_a_gpu_that_is_hidden(unseen, nvml, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert refusal().endswith("CUDA_VISIBLE_DEVICES='' may hide it")


def test_a_driver_without_a_gpu(unseen, nvml):
    nvml.clear()
    assert "NVML sees none either (driver 580.1)" in refusal()


def test_a_driver_that_fails(unseen, nvml, monkeypatch):
    def fail():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", fail)
    assert "NVML finds a driver and fails (Unknown Error)" in refusal()


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="it computes where it should")
def test_what_is_listed_and_runs_on_the_cpu_after_all(listed):
    assert "what should run on the GPU ran on" in refusal()  # from the process that has tried it


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.InternalError(None, None, "no kernel image is available\nfor execution on the device"),
        RuntimeError("CUDA driver version is insufficient"),
    ],
)
def test_what_is_listed_and_does_not_compute(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(tf, "matmul", fail)
    assert f"a GPU that does not compute: {str(error).splitlines()[0]}" in refusal(gpu.compute)


@pytest.fixture
def on_gpu(monkeypatch):
    """Products that say that they are a GPU's; gives the number that they are full of, to be changed."""
    numbers = [64.0]

    class Product:
        device = "/device:GPU:0"

        def __eq__(self, other):
            return tf.fill([2, 2], numbers[0] == other)

    monkeypatch.setattr(tf, "matmul", lambda *_: Product())
    return numbers


def test_a_gpu_that_computes(on_gpu):
    assert gpu.compute() == "/device:GPU:0"


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("print('a note'); print('/device:GPU:0')", "/device:GPU:0"),
        ("print('--require-gpu: it cannot'); raise SystemExit(2)", "--require-gpu: it cannot"),
        ("raise OSError('no context')", "the process that should compute on it has ended with code 1: OSError: no con"),
        ("import os; os.abort()", "the process that should compute on it has ended with code -6: "),
    ],
)
def test_another_process_computes_and_says_how_it_went(listed, monkeypatch, program, found):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH")
    monkeypatch.setattr(gpu, "_COMPUTE", program)
    said = gpu.require() if found.startswith("/") else refusal()
    assert found in said if "has ended" in found else found == said
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_a_gpu_that_computes_wrongly(on_gpu):
    on_gpu[0] = 63.0
    assert "multiplies matrices wrongly" in refusal(gpu.compute)


class Config:
    """The config of a pytest run, with chosen options."""

    def __init__(self, **chosen):
        self.chosen = chosen

    def getoption(self, name):
        return self.chosen[name]


@pytest.mark.parametrize(
    ("wanted", "collected", "looks"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_a_run_looks_for_it_when_told_to(monkeypatch, wanted, collected, looks):
    seen = []
    monkeypatch.setattr(gpu, "require", lambda: seen.append("looked") or "a GPU")
    pytest_options._has_gpu(Config(require_gpu=wanted, collectonly=collected))
    assert bool(seen) == looks


def test_a_run_without_it_ends_at_once(python, tmp_path):
    command = ["-m", "pytest", BENCH, "--benchmark-only", "--require-gpu", "--max-syncs", "1"]
    hidden = {"CUDA_VISIBLE_DEVICES": "-1"}  # where there is one, too
    done = python(*command, "--results", tmp_path / "runs", **hidden)
    assert done.returncode == 2, done.stdout
    assert "--require-gpu: TensorFlow sees no GPU; NVML" in done.stdout + done.stderr
    assert "passed" not in done.stdout
    assert "skipped" not in done.stdout
    assert list(tmp_path.iterdir()) == []
