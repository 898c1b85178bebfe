import json
import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import InvalidRecordError, UsageError
from bench.experiments.survival import trial
from bench.experiments.survival.observation import Observation
from bench.experiments.survival.trial import Trial, Tried, main
from bench.jobs import pool
from bench.jobs.pool import REFUSED, Death

anything = st.floats(allow_nan=True, allow_infinity=True)
names = st.text(min_size=1, max_size=5)
series = st.dictionaries(names, st.lists(anything, max_size=3).map(tuple), max_size=2)
plain = st.none() | st.integers() | names | st.lists(st.integers(), max_size=2)
trials = st.builds(
    Trial,
    loop=st.sampled_from(["before", "after"]),
    factory=st.sampled_from(["a:b", "c:d"]),
    preset=st.sampled_from(["tiny", "paper"]),
    seed=st.integers(0, 1),
    options=st.dictionaries(names, plain, max_size=2),
    fault=st.none() | st.sampled_from(["nan", "inf"]),
    batches=st.none() | st.integers(1, 2),
    epochs=st.none() | st.integers(1, 2),
    time_limit=st.sampled_from([0.5, 300.0]),
)
observations = st.builds(
    Observation,
    ended=st.sampled_from(["whole", "crashed", "timed out", "not tested"]),
    why=names,
    metrics=series,
    steps=series,
    struck=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    first_bad=st.none() | st.integers(0, 9),
    worst=anything,
)
all_tried = st.builds(Tried, trial=trials, observation=observations, seconds=st.floats(0, 1e6))


def make(**changes):
    given = {"loop": "before", "factory": "toys:plain", "preset": "tiny", "seed": 0, "batches": 2}
    return Trial(**{**given, **changes})


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Runs main as its process does; gives its exit code and the file."""
    monkeypatch.setattr(trial, "die_with_parent", lambda: None)  # our own input is at its end

    def begin(what, name="result.json"):
        path = tmp_path / name
        return main([what.job.arguments[-1], str(path)]), path

    return begin


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
        {"batches": 3},
        {"batches": None},
        {"epochs": 2},
        {"batches": None, "epochs": 2},
    ],
)
def test_whatever_makes_a_difference_makes_another_name(change):
    assert make(**change).job.name != make().job.name


def test_every_field_but_one_can_make_a_difference():
    fields = {"loop", "factory", "preset", "seed", "options", "fault", "batches", "epochs"}
    assert {*Trial.model_fields} == {*fields, "time_limit"}


def test_with_more_time_it_is_the_same_trial():
    assert make(time_limit=2.5).job.name == make().job.name
    assert (make(time_limit=2.5).job.time_limit, make().job.time_limit) == (2.5, 300.0)


@settings(deadline=None)
@given(trials, trials)
def test_a_name_is_of_one_trial_alone(one, other):
    same = one == other.model_copy(update={"time_limit": one.time_limit})
    assert (one.job.name == other.job.name) == same
    assert one.job == one.model_copy(deep=True).job


@settings(deadline=None)
@given(trials)
def test_a_job_brings_its_trial_to_another_process(what):
    assert Trial.model_validate_json(what.job.arguments[-1]) == what
    assert what.job.arguments[:-1] == ("-m", "bench.experiments.survival.trial")
    assert set(what.job.name) <= set(string.hexdigits)  # a file's name, whatever the loop is called


def test_the_order_of_options_makes_no_difference():
    one, other = make(options={"a": 1, "b": 2}), make(options={"b": 2, "a": 1})
    assert one == other
    assert one.job == other.job


def test_a_name_stays_the_same_from_one_process_to_the_next():
    assert make().job.name == "0b4cf2c3fbc86f7d0788"


def test_the_title_is_for_a_person():
    assert make().job.title == "before, seed 0, no fault"
    assert make(fault="nan", seed=3).job.title == "before, seed 3, nan"


@pytest.mark.parametrize("broken", [{"batches": 0}, {"epochs": 0}, {"time_limit": 0}, {"surprise": 1}])
def test_is_checked_when_it_is_made(broken):
    with pytest.raises(ValueError, match=next(iter(broken))):
        make(**broken)


@pytest.mark.parametrize("fault", [None, "nan,batch=1"])
def test_leaves_what_came_of_it(begin, monkeypatch, fault):
    left = []
    write = pool.write_whole
    monkeypatch.setattr(pool, "write_whole", lambda path, text: (left.append(text), write(path, text)))
    code, path = begin(make(batches=3, fault=fault))
    found = Tried.read(path)
    assert code == 0
    assert found.trial == make(batches=3, fault=fault)
    assert (found.observation.ended, found.observation.batches) == ("whole", 3)
    assert found.observation.struck == (() if fault is None else (1,))
    assert found.model_dump_json() + "\n" == left[0]
    assert found.seconds > 0


def test_a_loop_that_crashes_is_a_result(begin):
    code, path = begin(make(factory="toys:failing", batches=9))
    found = Tried.read(path).observation
    assert (code, found.ended, found.why) == (0, "crashed", "RuntimeError: out of something")


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
def test_what_was_asked_wrong_is_one_line_and_no_result(begin, capfd, change, says):
    code, path = begin(make(**change))
    assert code == REFUSED
    assert not path.exists()
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith(f"error: {says}")


def test_a_message_of_many_lines_is_one_line(begin, capfd, monkeypatch):
    def fail(what):
        raise UsageError("no\ngood")

    monkeypatch.setattr(trial, "_run", fail)
    assert begin(make())[0] == REFUSED
    assert capfd.readouterr().out == "error: no good\n"


def test_a_result_that_cannot_be_written_is_not_the_loops_fault(begin, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(trial, "_run", lambda what: Observation(ended="whole"))
    (tmp_path / "file").touch()
    assert begin(make(), "file/result.json")[0] == REFUSED
    assert capfd.readouterr().out.startswith(f"error: folder {tmp_path / 'file'}: cannot be written")


def test_watches_its_parent_before_anything_else(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(trial, "die_with_parent", lambda: order.append("watches"))
    monkeypatch.setattr(trial, "_run", lambda what: (order.append("runs"), Observation(ended="whole"))[1])
    assert main([make().job.arguments[-1], str(tmp_path / "result.json")]) == 0
    assert order == ["watches", "runs"]


@settings(deadline=None)
@given(all_tried)
def test_json_brings_back_every_bit(tried):
    text = tried.model_dump_json()
    again = Tried.model_validate_json(text)
    assert again.model_dump_json() == text
    json.loads(text, parse_constant=pytest.fail)  # bare NaN is no JSON


def test_not_a_number_stays_not_a_number(tmp_path):
    seen = Observation(
        ended="whole", metrics={"loss": (math.nan, math.inf, -math.inf, 1.0)}, steps={"w": (math.nan,)}, worst=math.nan
    )
    path = tmp_path / "result.json"
    path.write_text(Tried(trial=make(), observation=seen, seconds=1.0).model_dump_json())
    found = Tried.read(path).observation
    assert math.isnan(found.metrics["loss"][0])
    assert found.metrics["loss"][1:] == (math.inf, -math.inf, 1.0)
    assert math.isnan(found.steps["w"][0])
    assert math.isnan(found.worst)


WHOLE = Tried(trial=make(), observation=Observation(ended="whole"), seconds=1.0).model_dump_json().encode()


@pytest.mark.parametrize("content", [None, b"", WHOLE[:-1], WHOLE[: len(WHOLE) // 2], b"[]", b"{}", b"\xff", b"null"])
def test_a_damaged_result_is_one_line(tmp_path, content):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidRecordError) as caught:
        Tried.read(path)
    assert str(caught.value).startswith(f"result {path}: cannot be read (")
    assert str(caught.value).endswith("; remove it")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["crashed", "timed out"])
def test_of_a_process_that_died(tmp_path, how):
    tried = Tried.died(make(), Death(how, "of something", 1.5))
    path = pool.result(tmp_path, make().job)
    path.write_text(tried.model_dump_json())
    assert Tried.read(path) == tried
    assert (tried.observation.ended, tried.observation.why, tried.seconds) == (how, "of something", 1.5)
    assert tried.observation.batches == 0
