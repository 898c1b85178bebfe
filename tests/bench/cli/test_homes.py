import sys

import pytest
from runs import config

from loop_bench.cli import homes, pytest_options
from loop_bench.errors import UsageError
from loop_bench.home import Home

HERE = Home()


def asked(**given):
    return pytest_options.asked(config(**given))


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A virtual environment in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old" / "bin").mkdir(parents=True)
    (tmp_path / "old" / "bin" / "python").symlink_to(sys.executable)


def test_by_default_both_live_in_the_process_of_the_run():
    assert homes.homes(asked()) == {}
    found = pytest_options.settings(config(preset="tiny"))
    assert (found.homes, found.processes) == ({}, 1)


@pytest.mark.parametrize(
    ("given", "before", "after"),
    [
        ({"against": "main"}, Home(revision="main"), HERE),
        ({"isolate": True}, HERE, HERE),
        ({"before_revision": "v1", "after_revision": "v2"}, Home(revision="v1"), Home(revision="v2")),
        ({"against": "v1", "after_revision": "v2"}, Home(revision="v1"), Home(revision="v2")),
        ({"before_python": "old"}, Home(python="old"), HERE),
        ({"after_env": ["A=1", "B="]}, HERE, Home(environment={"A": "1", "B": ""})),
        ({"before_folder": "x", "against": "main"}, Home(folder="x", revision="main"), HERE),
        ({"against": "main", "link": ["data"]}, Home(revision="main"), HERE),
        ({"after_revision": "v2", "link": ["data"]}, HERE, Home(revision="v2")),
    ],
    ids=str,
)
def test_options_that_give_arms_environments(old, given, before, after):
    assert homes.homes(asked(**given)) == {"before": before, "after": after}
    found = pytest_options.settings(config(preset="tiny", **given))
    assert found.homes == {"before": before, "after": after}
    assert found.processes == homes.PROCESSES


def test_processes_one_after_the_other():
    assert pytest_options.settings(config(preset="tiny", isolate=True, processes="3")).processes == 3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"against": "v1", "before_revision": "v2"},
            "--against 'v1': sets the revision of before; remove --before-revision",
        ),
        ({"processes": "3"}, "--processes: only for arms in processes of their own; add --isolate"),
        ({"link": ["data"]}, "--link: links data into another revision; needs --against, --before-revision"),
        ({"link": ["data"], "isolate": True}, "--link: links data into another revision"),
        ({"before_python": "none"}, "--before-python 'none': no such interpreter"),
        ({"after_python": "./none"}, "--after-python './none': no such interpreter"),
        ({"before_env": ["A"]}, "--before-env 'A': must be NAME=VALUE"),
        ({"after_env": ["A=1", "=1"]}, "--after-env '=1': must be NAME=VALUE"),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_or_stand_for_nothing(old, given, says):
    with pytest.raises(UsageError) as caught:
        pytest_options.check(config(**given))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("switch", [{"ladder": True}, {"sweep": ["batch=1"]}, {"profile": True}, {"convergence": "3"}])
def test_experiments_with_loops_that_share_a_process_are_refused(switch):
    with pytest.raises(UsageError) as caught:
        pytest_options.check(config(isolate=True, **switch))
    (key,) = switch
    assert str(caught.value) == f"--{key}: needs loops that share a process, and these arms have processes of their own"


def test_before_is_the_factory_of_after_if_only_environments_differ():
    from loop_bench import builtin

    assert asked(after="a:b")["before"] == builtin.BEFORE
    assert asked(after="a:b", against="main")["before"] == "a:b"
    assert asked(after="a:b", before="c:d", against="main")["before"] == "c:d"
    assert asked(after="a:b", before_env=["A=1"])["before"] == "a:b"
    assert asked(after="a:b", isolate=True)["before"] == builtin.BEFORE
