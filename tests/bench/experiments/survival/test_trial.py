import pytest
import trials

from loop_bench.errors import UsageError
from loop_bench.experiments.survival.trial import SurvivalTrial, observed
from loop_bench.jobs.trial import attempt


def make(**changes):
    given = {"loop": "before", "factory": "toys:plain", "preset": "tiny", "seed": 0, "batches": 2}
    return SurvivalTrial(**{**given, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"loop": "after"},
        {"factory": "toys:guarded"},
        {"preset": "paper"},
        {"seed": 1},
        {"options": {"size": 1}},
        {"options": {"size": "1"}},
        {"options": {"size": 1.5}},
        {"options": {"size": True}},
        {"options": {"size": None}},
        {"fault": "nan"},
        {"fault": "nan,batch=11"},
        {"ready": ("nan",)},
        {"batches": 3},
        {"batches": None},
        {"epochs": 2},
        {"batches": None, "epochs": 2},
        {"home": "revision=main (1a2b3c4)"},
    ],
)
def test_whatever_makes_a_difference_makes_another_name(change):
    assert make(**change).key != make().key


def test_every_field_but_one_can_make_a_difference():
    fields = {"loop", "factory", "preset", "seed", "options", "home", "fault", "ready", "batches", "epochs"}
    assert {*SurvivalTrial.model_fields} == {*fields, "time_limit", "arm"}
    assert make(arm="after").key == make().key  # which its home says, or its loop


def test_with_more_time_it_is_the_same_trial():
    assert make(time_limit=2.5).key == make().key
    assert make().time_limit == 300.0


def test_a_key_stays_what_it_is():
    assert make().key == "9f97b0ce9c3e32412c40"


def test_the_title_is_for_a_person():
    assert make().title == "before, seed 0, no fault"
    assert make(fault="nan", seed=3).title == "before, seed 3, nan"


def test_its_loop_is_what_must_not_change():
    assert make(options={"script": "a.csv"}).loops == (("toys:plain", {"script": "a.csv"}),)


@pytest.mark.parametrize("broken", [{"batches": 0}, {"epochs": 0}, {"time_limit": 0}, {"surprise": 1}])
def test_is_checked_when_it_is_made(broken):
    with pytest.raises(ValueError, match=next(iter(broken))):
        make(**broken)


@pytest.mark.parametrize("fault", [None, "nan,batch=1"])
def test_a_loop_is_observed(fault):
    found = attempt(make(batches=3, fault=fault)).found
    assert (found.ended, found.batches) == ("whole", 3)
    assert found.struck == (() if fault is None else (1,))


def test_a_loop_that_crashes_is_observed_until_then():
    result = attempt(make(factory="toys:failing", batches=9))
    assert (result.ended, result.found.ended, result.found.why) == (
        "whole",
        "crashed",
        "RuntimeError: out of something",
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"factory": "toys"}, "factory 'toys': must be module:factory"),
        ({"factory": "toys:nope"}, "factory 'toys:nope': toys has no nope"),
        ({"factory": "no_such_module:make"}, "factory 'no_such_module:make': importing no_such_module failed"),
        ({"factory": "toys:no_variables"}, "factory 'toys:no_variables': variables of its NoVariables is ()"),
        ({"fault": "boom"}, "fault 'boom': "),
        ({"fault": "nan,in=no_such_module:f"}, "fault nan,in=no_such_module:f: importing no_such_module failed"),
        ({"fault": "nan,in=no_such_method"}, "fault nan,in=no_such_method: the loop has no no_such_method"),
    ],
)
def test_what_was_asked_wrong_is_no_result(change, says):
    with pytest.raises(UsageError) as caught:
        attempt(make(**change))
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("how", ["crashed", "timed out"])
def test_of_a_process_that_died_only_that_is_known(how):
    found = observed(trials.died(make(), how))
    assert (found.ended, found.why, found.batches) == (how, "of something", 0)


def test_flags_of_ones_own_are_kept(tmp_path, monkeypatch):
    flags = SurvivalTrial.environment(tmp_path, {"TF_XLA_FLAGS": "--theirs=1"})["TF_XLA_FLAGS"]
    assert flags.startswith("--theirs=1 --")
    monkeypatch.setenv("TF_XLA_FLAGS", "--mine=1")
    flags = SurvivalTrial.environment(tmp_path / "a folder")["TF_XLA_FLAGS"]
    assert flags.startswith("--mine=1 --")
    assert f'--tf_xla_persistent_cache_directory="{tmp_path}/a folder/xla" ' in flags
    monkeypatch.delenv("TF_XLA_FLAGS")
    assert SurvivalTrial.environment(tmp_path / "a folder")["TF_XLA_FLAGS"] == flags.removeprefix("--mine=1 ")
