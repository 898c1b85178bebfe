import platform
from pathlib import Path

import pytest
import tensorflow as tf

from loop_bench.machine import environment, revision


@pytest.fixture(scope="module")
def found():
    return environment.environment()


def test_names_machine_and_versions(found):
    assert found["python"] == platform.python_version()
    assert found["versions"]["tensorflow"] == tf.__version__
    assert found["cores"] >= 1
    assert found["cpu"]


def test_one_line_for_a_table(found):
    line = environment.machine({**found, "gpus": ["NVIDIA H100"], "gpu_driver": "580.1"})
    assert line.startswith("NVIDIA H100 (driver 580.1), ")
    assert f"Python {found['python']}" in line
    assert "driver" not in environment.machine({**found, "gpus": []})


def test_the_line_distinguishes_cpus_of_one_name(found):
    older = {key: value for key, value in found.items() if key != "processor"}
    kind = {"family": 25, "model": 1, "vectors": ["avx2"], "virtual": True}
    assert f"{found['cpu']} (family 25, model 1, AVX2, virtual);" in environment.machine({**found, "processor": kind})
    assert f"{found['cpu']};" in environment.machine(older)


def test_the_commit_is_that_of_the_current_folder(found):
    assert (found["commit"], found["dirty"]) == revision.state(Path.cwd())


def test_the_state_of_a_machine():
    found = environment.state()
    assert len(found["load_average"]) == 3
    assert found["gpus"] == [] or found["gpus"][0]["name"]
