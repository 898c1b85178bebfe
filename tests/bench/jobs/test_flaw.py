import pytest

from loop_bench.jobs.flaw import flaw


@pytest.mark.parametrize(
    ("causes", "says"),
    [
        ({}, ""),
        ({"before": []}, ""),
        ({"before": ["crashed: a", ""], "after": ["", ""]}, ""),
        ({"before": ["crashed: a"]}, "the only run came to nothing: crashed: a"),
        ({"before": ["crashed: a"], "after": [""]}, "the only run of before came to nothing: crashed: a"),
        (
            {"before": ["", "x"], "after": ["crashed: a"] * 3},
            "none of the 3 runs of after came to anything: crashed: a",
        ),
        (
            {"before": ["b", "a"], "after": ["a"], "third": []},
            "none of the 3 runs came to anything, 2 of them for this cause: a",
        ),
        (
            {"before": ["a"], "after": ["a", "b"], "third": [""]},
            "none of the 3 runs of before and after came to anything, 2 of them for this cause: a",
        ),
    ],
)
def test_names_the_groups_of_which_nothing_came_and_the_most_common_cause(causes, says):
    assert flaw(causes) == says


def test_calls_the_trials_what_they_are():
    assert flaw({"all": ["a", "a"]}, "points") == "none of the 2 points came to anything: a"
    assert flaw({"all": ["a"]}, "points") == "the only point came to nothing: a"
