import pytest
import tensorflow as tf

from loop_bench.machine import devices


def test_a_cpu_computes():
    assert devices.multiply("CPU", 0).endswith("/device:CPU:0")


def refusal(kind="GPU"):
    with pytest.raises(devices.DeviceError) as caught:
        devices.multiply(kind, 0)
    return str(caught.value)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is one")
def test_what_ran_somewhere_else():
    assert "what should run on the GPU ran on" in refusal()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (tf.errors.InternalError(None, None, "no kernel image is available\nfor execution"), "no kernel image"),
        (RuntimeError("CUDA driver version is insufficient"), "CUDA driver version is insufficient"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_what_fails_is_one_line(monkeypatch, error, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(tf, "matmul", fail)
    assert refusal("CPU").startswith(f"TensorFlow sees a CPU that does not compute: {said}")
    assert "\n" not in refusal("CPU")


def test_a_wrong_product(monkeypatch):
    monkeypatch.setattr(tf, "matmul", lambda one, _: one)
    assert refusal("CPU").endswith("CPU:0 multiplies matrices wrongly")
