import os
import types

import pytest

from loop_bench import hostsync
from loop_bench.doctor import tensorflow_process
from loop_bench.doctor.tensorflow_process import Device
from loop_bench.machine import devices

NAME = "planted_program"


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """A module that the process finds before any other."""
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name, text: (tmp_path / f"{name}.py").write_text(text)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise ImportError('libfoo.so: cannot open')", "importing it failed with ImportError: libfoo.so: cannot open"),
        (
            "import traceback\n"
            "try:\n    raise ImportError('undefined symbol: x')\n"
            "except ImportError:\n    raise ImportError(traceback.format_exc() + '\\nFailed to load the runtime.')",
            "importing it failed with ImportError: undefined symbol: x",
        ),
        (
            "import os, sys; print('illegal instruction', file=sys.stderr, flush=True); os.abort()",
            "importing it ended the process with signal SIGABRT: illegal instruction",
        ),
        ("raise SystemExit(3)", "importing it ended the process with code 3"),
    ],
)
def test_a_tensorflow_that_cannot_be_imported_is_a_line(plant, program, said):
    plant("tensorflow", program)
    assert tensorflow_process.ask(measure=False).tensorflow == said


SAYS = """
import json, os, sys
pipe, measure = map(int, sys.argv[1:])
def say(name, value):
    os.write(pipe, (json.dumps([name, value]) + "\\n").encode())
print("a note on standard output")
say("tensorflow", {"version": "2.21.0", "distributions": ["tensorflow"], "keras": "3", "keras_error": "", "cuda": False,
    "devices": [{"kind": "CPU", "name": "CPU", "problem": ""}], "routes": {}, "routes_error": ""})
if measure:
    for share in (0.0, 0.5):
        say("share", share)
"""


def test_what_it_says_is_heard_as_it_says_it(plant):
    plant(NAME, f'{SAYS}    say("null_arm", {{"rounds": 12}})')
    told = []
    answers = tensorflow_process.ask(True, told.append, NAME)
    assert answers.tensorflow.distributions == ("tensorflow",)
    assert answers.tensorflow.devices == (Device("CPU", "CPU"),)
    assert (answers.null_arm, told) == ({"rounds": 12}, [0.0, 0.5])
    assert tensorflow_process.ask(False, told.append, NAME).null_arm == "left out"


def test_what_it_has_said_counts_when_it_dies(plant):
    plant(NAME, f"{SAYS}    os.abort()")
    answers = tensorflow_process.ask(True, program=NAME)
    assert answers.tensorflow.version == "2.21.0"
    assert answers.null_arm.startswith("ended the process with signal SIGABRT")


def test_it_does_not_outlive_an_interruption(plant, tmp_path):
    plant(NAME, f"{SAYS}    open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n    say('share', 1.0)\n"
          "    import signal; signal.pause()")  # fmt: skip

    def interrupt(share):
        if share == 1.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tensorflow_process.ask(True, interrupt, NAME)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


class Fake:
    """TensorFlow, with one GPU that does not compute."""

    __version__ = "2.21.0"
    keras = types.SimpleNamespace(Model=type("Model", (), {"__module__": "keras.src.models.model"}))
    test = types.SimpleNamespace(is_built_with_cuda=lambda: True)
    config = types.SimpleNamespace(
        list_physical_devices=lambda kind: [kind],
        experimental=types.SimpleNamespace(get_device_details=lambda device: {"device_name": "NVIDIA H200"}),
    )


@pytest.fixture
def multiply(monkeypatch):
    def fails_on_gpus(kind, number):
        if kind == "GPU":
            raise devices.DeviceError("TensorFlow sees a GPU that does not compute: no kernel")

    monkeypatch.setattr(devices, "multiply", fails_on_gpus)
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # it sets it where it is not set


def test_what_tensorflow_says(multiply, monkeypatch):
    monkeypatch.setattr(hostsync, "capabilities", lambda: {"t.numpy()": ""}, raising=False)
    found = tensorflow_process.look(Fake)
    assert found.devices == (
        Device("CPU", "CPU"),
        Device("GPU", "NVIDIA H200", "TensorFlow sees a GPU that does not compute: no kernel"),
    )
    assert (found.version, found.cuda, found.routes, found.routes_error) == ("2.21.0", True, {"t.numpy()": ""}, "")
    assert found.keras[0].isdigit()
    assert found.keras_error == ""


def test_a_failure_is_reported_and_the_rest_is_examined(multiply, monkeypatch):
    def fail():
        raise AttributeError("no such name")

    class WithoutKeras(Fake):
        keras = types.SimpleNamespace()

    monkeypatch.setattr(hostsync, "capabilities", fail, raising=False)
    found = tensorflow_process.look(WithoutKeras)
    assert found.routes_error == "AttributeError: no such name"
    assert found.keras_error.startswith("AttributeError: ")
    assert len(found.devices) == 2
