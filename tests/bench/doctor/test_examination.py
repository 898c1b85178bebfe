import dataclasses
import sys

import pytest

from loop_bench import extras
from loop_bench.doctor import examination, tensorflow_process
from loop_bench.doctor.finding import State
from loop_bench.doctor.null_arm import NullArm
from loop_bench.doctor.tensorflow_process import Answers, Device, TensorFlow
from loop_bench.machine import driver, gpu

SOUND = TensorFlow("2.21.0", ("tensorflow",), "3.12.0", "", True, (Device("CPU", "CPU"),), {"t.numpy()": ""}, "")
QUIET = NullArm(10.0, 200, 60, 0.3, 1.0, 0.99, 1.01, False)


@pytest.fixture
def examine(monkeypatch):
    """Looks at a planted TensorFlow; gives the findings by their names, and what the process was asked."""

    def of(answers=Answers(SOUND, dataclasses.asdict(QUIET)), missing=(), environ=None, measure=True):  # noqa: B008
        asked, waited = [], []

        def ask(measure, tell):
            asked.append(measure)
            return answers

        monkeypatch.setattr(tensorflow_process, "ask", ask)
        monkeypatch.setattr(extras, "missing", lambda extra: [each for each in missing if each in extras.EXTRAS[extra]])
        found = examination.examine(measure, environ=environ or {}, wait=waited.append)
        assert waited == [0.5]
        return {each.name: each for part in found.parts for each in part.findings}, asked, found

    return of


def test_all_that_is_looked_at(examine):
    found, asked, whole = examine()
    assert [part.title for part in whole.parts] == [
        "Software", "Machine", "Devices", "Environment variables", "Noise",
    ]  # fmt: skip
    wanted = ("system", "Python", "loop-bench", "extra compare", "extra history", "extra seqgan", "TensorFlow", "Keras",
              "host syncs", "CPU", "cores", "clock", "other programs", "allocator", "device CPU", "variables",
              "null arm")  # fmt: skip
    assert [name for name in wanted if name not in found] == []
    assert asked == [True]
    assert whole.null_arm == QUIET
    assert found["null arm"].state is State.OK


def test_nothing_is_measured_when_not_wanted(examine):
    found, asked, whole = examine(Answers(SOUND, "left out"), measure=False)
    assert (asked, whole.null_arm) == ([False], None)
    assert found["null arm"].found == "not measured (--no-measure)"


def test_without_the_extra_the_rest_is_looked_at(examine):
    found, asked, _ = examine(Answers(SOUND, "left out"), missing=("scipy", "psutil"))
    assert asked == [False]
    assert found["null arm"].found == "not measured: scipy not installed"
    assert found["null arm"].advice == found["extra compare"].advice == "pip install 'loop-bench[compare]'"
    assert found["TensorFlow"].state is State.OK


def test_without_tensorflow_no_process_is_started(examine):
    found, asked, _ = examine(missing=("tensorflow",))
    assert asked == []
    assert (found["TensorFlow"].found, found["TensorFlow"].state) == ("not installed", State.PROBLEM)
    assert found["null arm"].found == "not measured without TensorFlow"
    assert "device CPU" not in found
    assert "CPU" in found


def test_a_broken_tensorflow(examine):
    found, _, _ = examine(Answers("importing it failed with ImportError: x", "ended the process with code 0"))
    assert found["TensorFlow"].found == "importing it failed with ImportError: x"
    assert found["null arm"].found == "not measured without TensorFlow"


def test_a_measurement_that_dies(examine):
    found, _, _ = examine(Answers(SOUND, "ended the process with signal SIGSEGV"))
    assert found["null arm"].found == "measuring it ended the process with signal SIGSEGV"
    assert found["null arm"].state is State.PROBLEM


def test_a_gpu_of_the_drivers_is_missed_and_its_state_read(examine, monkeypatch):
    monkeypatch.setattr(driver, "has_gpu", lambda: True)
    monkeypatch.setattr(gpu, "uses", lambda: [gpu.Use("H200", True, 0, 4, ())])
    found, _, _ = examine()
    assert found["GPU"].state is State.PROBLEM
    assert found["state of GPU 0"].state is State.OK
    found, _, _ = examine(environ={"CUDA_VISIBLE_DEVICES": ""})
    assert found["GPU"].state is State.NOTE


def test_a_gpu_whose_state_cannot_be_read(examine, monkeypatch):
    monkeypatch.setattr(driver, "has_gpu", lambda: True)
    monkeypatch.delattr("loop_bench.machine.gpu")
    monkeypatch.setitem(sys.modules, "loop_bench.machine.gpu", None)  # as without pynvml
    found, _, _ = examine()
    assert found["state of the GPU"].advice == "pip install 'loop-bench[compare]'"
    assert found["GPU"].state is State.PROBLEM
