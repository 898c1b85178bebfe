import pytest

from loop_bench.doctor import hardware
from loop_bench.doctor.finding import State
from loop_bench.doctor.tensorflow_process import Device, TensorFlow
from loop_bench.machine.allocator import Allocator
from loop_bench.machine.cores import Clock, Cores, Shares
from loop_bench.machine.gpu import Use

CPU = {"name": "AMD EPYC", "family": 25, "model": 17, "vectors": ["avx", "avx2", "fma"], "virtual": True}


def is_of(found, state, text):
    assert (found.state, bool(found.advice)) == (state, state is not State.OK)
    assert text in found.found


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_cpu_without_avx_is_none_for_tensorflow(monkeypatch, machine):
    monkeypatch.setattr(hardware.platform, "machine", lambda: machine)
    is_of(hardware.processor(CPU), State.OK, "AMD EPYC (family 25, model 17, AVX2, virtual)")
    state = State.PROBLEM if machine == "x86_64" else State.OK
    is_of(hardware.processor({**CPU, "vectors": ["neon"]}), state, "AMD EPYC")
    unknown = {"name": "", "family": None, "model": None, "vectors": [], "virtual": None}
    is_of(hardware.processor(unknown), State.OK, machine)  # nothing is known, so nothing is missing


@pytest.mark.parametrize(
    ("found", "state", "text"),
    [
        (Cores(8, 8, None), State.OK, "8 of 8, no quota"),
        (Cores(8, 4, 4.0), State.OK, "4 of 8, a quota of 4"),
        (Cores(8, 4, 2.5), State.NOTE, "4 of 8, a quota of 2.5 CPUs' time"),
        (Cores(8, 1, None), State.NOTE, "1 of 8"),
        (Cores(8, None, None), State.OK, "8 of 8"),  # affinity is unknown
    ],
)
def test_cores(found, state, text):
    is_of(hardware.cores(found), state, text)


@pytest.mark.parametrize(
    ("found", "governors", "state", "text"),
    [
        (Clock(None, None), (), State.OK, "unknown, governor unknown"),
        (Clock(2596.1, None), (), State.OK, "2596 MHz, governor unknown"),
        (Clock(2000, 3700), ("performance",), State.OK, "2000 MHz of 3700, governor performance"),
        (Clock(2000, 3700), ("performance", "powersave"), State.NOTE, "governor performance, powersave"),
    ],
)
def test_the_clock(found, governors, state, text):
    is_of(hardware.clock(found, governors), state, text)


@pytest.mark.parametrize(
    ("found", "state", "text"),
    [
        (None, State.OK, "unknown; load average 1.50"),
        (Shares(0.05, 0), State.OK, "0.2 of 4 cores busy"),
        (Shares(0.5, 0), State.NOTE, "2.0 of 4 cores busy; load average 1.50 in the last minute"),
    ],
)
def test_what_else_runs(found, state, text):
    is_of(hardware.load(found, 4, 1.5), state, text)


def test_steal():
    assert hardware.steal(None) is None
    is_of(hardware.steal(Shares(0.3, 0.005)), State.OK, "0.5% of the time")
    is_of(hardware.steal(Shares(0.3, 0.05)), State.NOTE, "5.0% of the time")


BOTH = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}


@pytest.mark.parametrize(
    ("found", "state", "text"),
    [
        (Allocator("glibc 2.36", {}), State.NOTE, "glibc 2.36, huge pages madvise"),
        (Allocator("glibc 2.36", {"MALLOC_TRIM_THRESHOLD_": "1"}), State.NOTE, "MALLOC_TRIM_THRESHOLD_=1"),
        (Allocator("glibc 2.36", BOTH), State.OK, "MALLOC_MMAP_THRESHOLD_=4294967296"),
        (Allocator("jemalloc", {"LD_PRELOAD": "x.so"}), State.OK, "jemalloc, LD_PRELOAD=x.so"),
        (Allocator("glibc 2.36", {**BOTH, "LD_PRELOAD": "x.so"}, ("x.so",)), State.PROBLEM, "x.so not loaded"),
        (Allocator(None, {}), State.OK, "unknown"),
    ],
)
def test_the_allocator(found, state, text):
    is_of(hardware.allocator(found, "madvise"), state, text)


def tensorflow(*devices, cuda=False):
    return TensorFlow("2.21.0", ("tensorflow",), "3", "", cuda, devices, {}, "")


def test_a_cpu_alone():
    (found,) = hardware.devices(tensorflow(Device("CPU", "CPU")), has_gpu=False, hidden=None)
    assert (found.name, found.found, found.state) == ("device CPU", "computes", State.OK)


def test_a_gpu_that_does_not_compute():
    found = hardware.devices(
        tensorflow(Device("CPU", "CPU"), Device("GPU", "NVIDIA H200", "does not compute: no kernel")), True, None
    )
    is_of(found[0], State.OK, "computes")
    is_of(found[1], State.PROBLEM, "no kernel")
    good = hardware.devices(tensorflow(Device("CPU", "CPU"), Device("GPU", "NVIDIA H200")), True, None)
    assert [each.found for each in good] == ["computes", "NVIDIA H200 computes"]


@pytest.mark.parametrize(
    ("cuda", "hidden", "state", "text"),
    [
        (False, None, State.PROBLEM, "built without CUDA"),
        (True, None, State.PROBLEM, "its CUDA libraries are missing"),
        (True, "-1", State.NOTE, "CUDA_VISIBLE_DEVICES='-1'"),
    ],
)
def test_a_gpu_that_tensorflow_does_not_see(cuda, hidden, state, text):
    *_, found = hardware.devices(tensorflow(Device("CPU", "CPU"), cuda=cuda), has_gpu=True, hidden=hidden)
    is_of(found, state, text)
    assert ("loop-bench[gpu]" in found.advice) == (hidden is None)


@pytest.mark.parametrize(
    ("use", "state", "texts"),
    [
        (Use("H200", True, 0, 4, ()), State.OK, ["H200, 4 MiB in use"]),
        (Use("H200", None, None, None, None), State.OK, ["H200"]),
        (Use("H200", True, 2, 900, ()), State.NOTE, ["2 other processes"]),
        (Use("H200", False, 1, 4, ("sync boost",)), State.NOTE, ["1 other process,", "sync boost", "persistence off"]),
    ],
)
def test_the_state_of_gpus(use, state, texts):
    (found,) = hardware.gpus([use])
    for text in texts:
        is_of(found, state, text)


def test_a_state_that_cannot_be_asked():
    (found,) = hardware.gpus(None)
    is_of(found, State.NOTE, "nvidia-ml-py is not installed")
