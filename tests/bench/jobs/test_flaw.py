import pytest

from loop_bench.jobs.flaw import flaw


@pytest.mark.parametrize(
    ("causes", "says"),
    [
        ({}, ""),
        ({"before": []}, ""),
        ({"before": ["crashed: a", ""], "after": ["", ""]}, ""),
        ({"before": ["crashed: a"]}, "the only run failed: crashed: a"),
        ({"before": ["crashed: a"], "after": [""]}, "the only run of before failed: crashed: a"),
        (
            {"before": ["", "x"], "after": ["crashed: a"] * 3},
            "none of the 3 runs of after succeeded: crashed: a",
        ),
        (
            {"before": ["b", "a"], "after": ["a"], "third": []},
            "none of the 3 runs succeeded, 2 of them for this cause: a",
        ),
        (
            {"before": ["a"], "after": ["a", "b"], "third": [""]},
            "none of the 3 runs of before and after succeeded, 2 of them for this cause: a",
        ),
    ],
)
def test_names_the_groups_without_success_and_the_most_common_cause(causes, says):
    assert flaw(causes) == says


def test_calls_the_trials_what_they_are():
    assert flaw({"all": ["a", "a"]}, "points") == "none of the 2 points succeeded: a"
    assert flaw({"all": ["a"]}, "points") == "the only point failed: a"
