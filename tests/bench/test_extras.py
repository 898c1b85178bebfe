import importlib.metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import loop_bench
from loop_bench import extras
from loop_bench.errors import UsageError

tomllib = pytest.importorskip("tomllib")  # of Python 3.11; the file is the same on all
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = {
    extra: [Requirement(each) for each in brought] for extra, brought in PROJECT["optional-dependencies"].items()
}


def test_the_extras_are_those_of_pyproject():
    assert {extra: [*brought] for extra, brought in extras.EXTRAS.items()} == {
        extra: [each.name for each in DECLARED[extra]] for extra in extras.EXTRAS
    }
    (everything,) = DECLARED["all"]
    assert (everything.name, everything.extras) == ("loop-bench", {*extras.EXTRAS})
    assert {*DECLARED} == {*extras.EXTRAS, "gpu", "all", "docs", "dev"}
    assert "loop-bench[all]" in map(str, DECLARED["dev"])


def test_each_module_comes_of_its_distribution():
    installed = importlib.metadata.packages_distributions()
    for brought in extras.EXTRAS.values():
        for name, module in brought.items():
            assert name in {each.lower() for each in installed[module]} or name == "tensorflow"


def test_nothing_is_refused_for_being_newer():
    """Nor does the core bring a TensorFlow: it would come on top of a vendor's."""
    every = [Requirement(each) for each in PROJECT["dependencies"]] + [
        each for some in DECLARED.values() for each in some
    ]
    assert [str(each) for each in every if any(spec.operator not in (">=", "!=") for spec in each.specifier)] == []
    core = [Requirement(each).name for each in PROJECT["dependencies"]]
    assert core == ["numpy", "rich", "typer", "typing_extensions", "executing"]


@pytest.fixture
def only(monkeypatch):
    """Has but these modules of extras installed."""
    return lambda *modules: monkeypatch.setattr(extras, "_is_there", lambda module: module in modules)


def test_one_line_for_all_that_is_missing(only):
    only("pandas", "cpuinfo")
    with pytest.raises(extras.MissingExtraError) as refused:
        extras.require("seqgan", "history", "tensorflow")
    assert str(refused.value) == (
        "not installed: nltk, ruptures, tensorflow; pip install 'loop-bench[seqgan,history,tensorflow]' brings it "
        "(any other build of TensorFlow from 2.16 on will do)"
    )
    assert isinstance(refused.value, UsageError)


def test_what_is_there_is_enough(only):
    only("ruptures")
    extras.require()
    extras.require("history")


def test_a_folder_of_the_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "ruptyres").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert extras._is_there("json")
    assert not extras._is_there("ruptyres")
    assert not extras._is_there("no_such_module_at_all")


def test_names_of_the_package_that_need_an_extra_say_so(only):
    only("numpy")
    with pytest.raises(ImportError, match=r"pip install 'loop-bench\[compare\]' brings it"):
        _ = loop_bench.Pair
    assert loop_bench.LoopSpec("tiny").seed == 0
