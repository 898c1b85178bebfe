import pytest

from loop_bench.doctor import variables
from loop_bench.doctor.finding import State


def test_none_is_set():
    (found,) = variables.findings({"PATH": "/bin"})
    assert (found.name, found.state) == ("variables", State.OK)


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("TF_USE_LEGACY_KERAS", "1", State.OK),
        ("TF_FORCE_GPU_ALLOW_GROWTH", "true", State.OK),
        ("TF_FORCE_GPU_ALLOW_GROWTH", "false", State.NOTE),
        ("TF_ENABLE_ONEDNN_OPTS", "1", State.OK),
        ("TF_ENABLE_ONEDNN_OPTS", "0", State.NOTE),
        ("TF_CPP_MIN_LOG_LEVEL", "3", State.OK),
        ("XLA_FLAGS", "--xla_dump_to=/tmp/x", State.NOTE),
        ("TF_XLA_FLAGS", "--tf_xla_auto_jit=2", State.NOTE),
        ("CUDA_LAUNCH_BLOCKING", "1", State.PROBLEM),
        ("CUDA_LAUNCH_BLOCKING", "0", State.OK),
        ("PYTHONDEVMODE", "1", State.NOTE),
        ("PYTHONDEVMODE", "", State.OK),
        ("OMP_NUM_THREADS", "1", State.NOTE),
    ],
)
def test_what_a_value_means(name, value, state):
    (found,) = variables.findings({name: value})
    assert (found.name, found.found, found.state) == (name, repr(value), state)
    assert bool(found.advice) == (state is not State.OK)


def test_dumping_is_distinguished_from_other_flags():
    dumping, other = (variables.findings({"XLA_FLAGS": each})[0].advice for each in ("--xla_dump_to=x", "--xla_y=1"))
    assert "takes time" in dumping
    assert "in every run that is compared" in other
