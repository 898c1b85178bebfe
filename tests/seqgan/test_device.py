import os
import subprocess
import sys

import pytest
import tensorflow as tf

from seqgan import device


@pytest.mark.parametrize(("gpus", "preset"), [([], "paper"), (["a GPU"], "script")])
def test_preset_for_the_device(monkeypatch, gpus, preset):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert device.default_preset() == preset


def test_starts_tensorflow_in_silence():
    script = "from seqgan import device; device.start_tensorflow(); import tensorflow; print(device.device_name())"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
