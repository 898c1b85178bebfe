import json
import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import Adding, Sum, died, found

from loop_bench.errors import InvalidRecordError
from loop_bench.jobs import trial as trials
from loop_bench.jobs.trial import attempt, read, result_class

names = st.text(min_size=1, max_size=5)
plain = st.none() | st.integers() | names | st.lists(st.integers(), max_size=2)
options = st.dictionaries(names, plain | st.dictionaries(names, plain, max_size=2), max_size=3)
some = st.builds(
    Adding,
    terms=st.lists(st.sampled_from([1.0, 2.0]), max_size=2).map(tuple),
    options=options,
    time_limit=st.sampled_from([0.5, 300.0]),
)


def turned(options):
    return {key: turned(value) if isinstance(value, dict) else value for key, value in reversed(options.items())}


@settings(deadline=None)
@given(some, some)
def test_a_key_is_of_one_trial_alone(one, other):
    same = one == other.model_copy(update={"time_limit": one.time_limit})
    assert (one.key == other.key) == same
    assert one.key == one.model_copy(deep=True).key


@settings(deadline=None)
@given(some)
def test_neither_time_nor_the_order_of_options_makes_a_difference(trial):
    assert trial.model_copy(update={"time_limit": 7.0, "options": turned(trial.options)}).key == trial.key


def test_a_key_is_a_name_for_a_file_and_stays_what_it_is():
    assert Adding(terms=(1.0,), options={"a": 1, "b": 2}).key == "ecd6b4dbacb86178f128"
    assert set(Adding(options={"/": "\N{SNOWMAN}"}).key) <= set(string.hexdigits)


def test_a_trial_that_ends_whole_has_a_finding():
    result = attempt(Adding(terms=(1.0, 2.0), time_limit=5.0))
    assert (result.ended, result.found, result.time_limit, result.died) == ("whole", Sum(value=3.0), 5.0, "")
    assert result.seconds >= 0


def test_what_its_work_dies_of_is_a_result(monkeypatch):
    monkeypatch.setattr("trials.add", lambda trial: 1 / 0)
    result = attempt(Adding(time_limit=5.0))
    assert (result.ended, result.found, result.time_limit) == ("crashed", None, 5.0)
    assert result.died == "crashed: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    "broken", [{"found": None}, {"ended": "crashed"}, {"ended": "asleep"}, {"seconds": -1}, {"surprise": 1}]
)
def test_a_result_is_checked_when_it_is_made(broken):
    with pytest.raises(ValueError, match=r"whole|ended|seconds|surprise"):
        found(Adding(), Sum(value=1.0), **broken)


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1e6))
def test_json_brings_back_every_bit(value, seconds):
    text = found(Adding(), Sum(value=value), seconds=seconds).model_dump_json()
    again = result_class(Adding()).model_validate_json(text)
    assert again.model_dump_json() == text
    assert again.found.value == value or math.isnan(value)
    json.loads(text, parse_constant=pytest.fail)  # bare NaN is no JSON


@pytest.mark.parametrize(
    ("ended", "had", "has", "retry"),
    [
        ("timed out", 20.0, 21.0, True),
        ("timed out", 20.0, 20.0, False),
        ("timed out", 20.0, 19.0, False),
        ("crashed", 20.0, 21.0, False),
    ],
)
def test_only_what_ran_out_of_a_shorter_time_deserves_a_retry(ended, had, has, retry):
    assert died(Adding(), ended, time_limit=had).deserves_retry(Adding(time_limit=has)) == retry


WHOLE = found(Adding(), Sum(value=1.0)).model_dump_json().encode()


@pytest.mark.parametrize("content", [None, b"", WHOLE[:-1], WHOLE[: len(WHOLE) // 2], b"[]", b"{}", b"\xff", b"null"])
def test_a_damaged_result_is_one_line(tmp_path, content):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidRecordError) as caught:
        read(path, Adding())
    assert str(caught.value).startswith(f"result {path}: cannot be read (")
    assert str(caught.value).endswith("; remove it")
    assert "\n" not in str(caught.value)


def test_the_work_is_found_by_name_and_imported_first():
    assert trials.Trial.preload.__func__(Adding) == ("loop_bench.jobs.imports", "trials")
