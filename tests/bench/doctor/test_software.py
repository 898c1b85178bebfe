import dataclasses
import re
from pathlib import Path

import pytest

from loop_bench import extras
from loop_bench.doctor import software
from loop_bench.doctor.finding import State
from loop_bench.doctor.tensorflow_process import Device, TensorFlow

PROJECT = Path(__file__).parents[3] / "pyproject.toml"
REQUIRES = [
    "numpy>=1.26",
    "rich>=13.8",
    "scipy>=1.15; extra == 'compare'",
    'tensorflow[and-cuda]>=2.16; sys_platform == "linux" and extra == "gpu"',
    "loop-bench[compare]; extra == 'all'",
]
SOUND = TensorFlow("2.21.0", ("tensorflow",), "3.12.0", "", False, (Device("CPU", "CPU"),), {"t.numpy()": ""}, "")


@pytest.fixture
def project():
    """What pyproject.toml says of the package."""
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11; the file is the same on all
    return tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(
    ("running", "state", "said"),
    [
        ((3, 9, 18), State.PROBLEM, "older than 3.10"),
        ((3, 10, 0), State.OK, "3.10.0 in /env"),
        ((3, 13, 2), State.OK, "3.13.2 in /env"),
        ((3, 14, 0), State.NOTE, "newer than 3.13, not tested"),
    ],
)
def test_python(running, state, said):
    found = software.python(running, "/env")
    assert found.state is state
    assert said in found.found
    assert bool(found.advice) == (state is State.PROBLEM)


def test_the_range_is_that_of_the_package(project):
    """Oldest versions as pip enforces them, newest ones as the package's classifiers have them."""
    assert project["requires-python"] == f">={software._dotted(software.PYTHON[0])}"
    named = [each.rpartition(":: ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert [named[0], named[-1]] == [*map(software._dotted, software.PYTHON)]
    assert project["optional-dependencies"]["tensorflow"] == [f"tensorflow>={software._dotted(software.TENSORFLOW[0])}"]


def test_each_extra_without_tensorflow_is_looked_at():
    assert {*software.USES} == {*extras.EXTRAS} - {"tensorflow"}


def test_what_is_required_of_an_extra():
    assert software.least(REQUIRES) == {"numpy": "1.26", "rich": "13.8"}
    assert software.least(REQUIRES, "compare") == {"scipy": "1.15"}
    assert software.least(REQUIRES, "gpu") == {"tensorflow": "2.16"}


def test_what_is_required_is_read_as_metadata_have_it(project):
    written = [f"{each}; extra == 'compare'" for each in project["optional-dependencies"]["compare"]]
    assert {*software.least(written, "compare")} == {*extras.EXTRAS["compare"]}


def versions(**installed):
    installed = {name.replace("_", "-"): each for name, each in installed.items()}
    return installed.get


def test_the_package_and_its_core():
    found = software.package(REQUIRES, versions(loop_bench="0.1.0", numpy="2.1.0", rich="14.0.0"))
    assert (found.found, found.state) == ("0.1.0 with numpy 2.1.0, rich 14.0.0", State.OK)


def test_a_core_that_is_too_old():
    found = software.package(REQUIRES, versions(loop_bench="0.1.0", numpy="1.9.5", rich="14.0.0"))
    assert found.state is State.PROBLEM
    assert found.found.endswith("numpy 1.9.5 is older than 1.26")  # not as texts are compared


def test_run_from_its_source():
    found = software.package([], versions(numpy="2.1.0", rich="14", typer="0.16"))
    assert found.state is State.NOTE
    assert "not installed; numpy 2.1.0, rich 14, typer 0.16" in found.found
    assert found.advice.startswith("pip install")


def test_an_extra_that_is_there():
    found = software.extra("history", [], REQUIRES, versions(ruptures="1.1.10"))
    assert (found.found, found.state, found.advice) == ("ruptures 1.1.10", State.OK, "")


def test_an_extra_that_is_missing():
    found = software.extra("compare", ["scipy", "pandas"], REQUIRES, versions())
    assert found.state is State.NOTE
    assert found.found.startswith("not installed: scipy, pandas; needed for")
    assert found.advice == "pip install 'loop-bench[compare]'"


def test_an_extra_that_is_too_old():
    found = software.extra("compare", [], REQUIRES, versions(scipy="1.11.4"))
    assert (found.found, found.state) == ("scipy 1.11.4 is older than 1.15", State.NOTE)
    assert found.advice == "pip install 'loop-bench[compare]'"


@pytest.fixture
def there(monkeypatch):
    """Says which extras are missing."""
    return lambda *missing: monkeypatch.setattr(extras, "missing", lambda extra: [extra] if extra in missing else [])


def test_without_tensorflow(there):
    there("tensorflow")
    (found,) = software.without_tensorflow("whatever")
    assert (found.found, found.state) == ("not installed", State.PROBLEM)
    assert "pip install 'loop-bench[tensorflow]'" in found.advice


def test_a_tensorflow_that_cannot_be_imported(there):
    there()
    (found,) = software.without_tensorflow("importing it failed with ImportError: no such symbol")
    assert (found.found, found.state) == ("importing it failed with ImportError: no such symbol", State.PROBLEM)
    assert "import tensorflow" in found.advice


def judged(environ=None, **changed):
    return software.tensorflow(dataclasses.replace(SOUND, **changed), environ or {})


def test_a_sound_tensorflow():
    assert [(each.found, each.state, each.advice) for each in judged()] == [
        ("2.21.0", State.OK, ""),
        ("3.12.0", State.OK, ""),
        ("all 1 routes and facts can be seen", State.OK, ""),
    ]


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("2.15.1", State.PROBLEM),
        ("2.9.0", State.PROBLEM),
        ("2.16.0rc0", State.OK),
        ("2.21.3+nv25", State.OK),
        ("2.22.0-dev", State.NOTE),
        ("3.0", State.NOTE),
    ],
)
def test_versions_of_tensorflow(version, state):
    found = judged(version=version)[0]
    assert found.state is state
    assert ("not tested" in found.found) == (state is State.NOTE)


def test_two_builds_over_each_other():
    found = judged(distributions=("tensorflow", "tensorflow-cpu"))[0]
    assert found.state is State.PROBLEM
    assert "pip uninstall tensorflow tensorflow-cpu" in found.advice
    assert judged(distributions=("tensorflow-cpu",))[0].found == "2.21.0 (tensorflow-cpu)"


def test_keras_that_is_not_there():
    legacy = judged({"TF_USE_LEGACY_KERAS": "1"}, keras="", keras_error="ImportError: tf_keras")[1]
    assert legacy.state is State.PROBLEM
    assert "tf_keras" in legacy.advice
    assert judged(keras_error="ImportError: keras")[1].advice == "pip install keras"


def test_which_keras_it_is():
    assert judged({"TF_USE_LEGACY_KERAS": "1"}, keras="tf_keras 2.16.0")[1].found == (
        "tf_keras 2.16.0 (TF_USE_LEGACY_KERAS=1)"
    )


def test_routes_that_are_not_seen():
    found = judged(routes={"DLPack": "no TFE_ToDlpackCapsule", "t.numpy()": ""})[2]
    assert found.state is State.NOTE
    assert found.found == "1 of 2 routes not seen: DLPack: no TFE_ToDlpackCapsule"
    assert judged(routes={}, routes_error="ImportError: numpy")[2].state is State.PROBLEM
