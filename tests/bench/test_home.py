import pytest

from loop_bench.errors import UsageError
from loop_bench.home import Home, Residence, variables

VERSIONS = {"tensorflow": "2.21.0"}


def residence(**changes):
    return Residence(**{"python": "3.11.7", "versions": VERSIONS, **changes})


def test_variables_are_names_and_values():
    assert variables("--x", ["A=1", "B=", "C=a=b", "A=2"]) == {"A": "2", "B": "", "C": "a=b"}
    assert variables("--x", []) == {}


@pytest.mark.parametrize("text", ["A", "=1", "", "A\0=1", "A=\0"])
def test_a_text_that_is_no_variable_is_refused_with_its_option(text):
    with pytest.raises(UsageError) as caught:
        variables("--before-env", ["B=1", text])
    assert str(caught.value) == f"--before-env {text!r}: must be NAME=VALUE, such as TF_ENABLE_ONEDNN_OPTS=0"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"revision": "main", "commit": "1a2b3c4d5e6f", "dirty": False}, "main (1a2b3c4)"),
        ({"commit": "1a2b3c4d5e6f", "dirty": True}, "working tree (1a2b3c4, with changes)"),
        ({"commit": "1a2b3c4d5e6f", "dirty": False}, "working tree (1a2b3c4)"),
        ({}, "working tree (in no repository)"),
    ],
)
def test_the_code_of_an_arm_is_named(changes, code):
    assert residence(**changes).code == code


def test_what_was_set_for_an_arm_is_named():
    assert residence().settings == ""
    assert residence(folder="old", environment={"A": "1", "B": ""}).settings == "folder=old, A=1, B="


def test_they_are_values_that_are_files():
    for each in (Home(revision="main", environment={"A": "1"}), residence(notes=("lacks data.npy",))):
        assert type(each).model_validate_json(each.model_dump_json()) == each
