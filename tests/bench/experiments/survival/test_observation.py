import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.kinds import KINDS
from loop_bench.experiments.survival.observation import SETTLING, WATCHED, Observation, horizon
from loop_bench.jobs.trial import Result

anything = st.floats(allow_nan=True, allow_infinity=True)
names = st.text(min_size=1, max_size=5)
series = st.dictionaries(names, st.lists(anything, max_size=3).map(tuple), max_size=2)
observations = st.builds(
    Observation,
    ended=st.sampled_from(["whole", "crashed", "timed out", "not tested"]),
    why=names,
    metrics=series,
    steps=series,
    struck=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    moved=st.dictionaries(st.text(max_size=3), st.lists(st.integers(0, 9), max_size=3).map(tuple), max_size=2),
    first_bad_of=st.dictionaries(st.sampled_from(KINDS), st.integers(0, 9)),
    worst=anything,
)


def result(seen):
    return Result[Observation](ended="whole", seconds=1.0, time_limit=300.0, found=seen)


def read(text):
    return Result[Observation].model_validate_json(text)


@given(observations)
def test_json_brings_back_every_bit(seen):
    text = result(seen).model_dump_json()
    again = read(text)
    assert again.model_dump_json() == text
    np.testing.assert_equal(dataclasses.asdict(again.found), dataclasses.asdict(seen))
    json.loads(text, parse_constant=pytest.fail)  # bare NaN is no JSON


def test_not_a_number_stays_not_a_number():
    seen = Observation(
        ended="whole", metrics={"loss": (math.nan, math.inf, -math.inf, 1.0)}, steps={"w": (math.nan,)}, worst=math.nan
    )
    found = read(result(seen).model_dump_json()).found
    assert math.isnan(found.metrics["loss"][0])
    assert found.metrics["loss"][1:] == (math.inf, -math.inf, 1.0)
    assert math.isnan(found.steps["w"][0])
    assert math.isnan(found.worst)


@pytest.mark.parametrize(
    "broken",
    [
        {"stride": 0},
        {"stride": 1.5},
        {"first_bad_of": {"weights": -1}},
        {"first_bad_of": {"hopes": 1}},
        {"ended": "asleep"},
        {"steps": {"w": ["far"]}},
        {"surprise": 1},
    ],
)
def test_what_is_read_is_checked(broken):
    whole = json.loads(result(Observation(ended="whole")).model_dump_json())
    whole["found"] |= broken
    with pytest.raises(ValidationError, match=next(iter(broken))):
        read(json.dumps(whole))


@pytest.mark.parametrize("broken", [{"stride": 0}, {"first_bad_of": {"weights": -1}}])
def test_what_is_made_is_checked(broken):
    with pytest.raises(ValueError, match=next(iter(broken))):
        Observation(ended="whole", **broken)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_the_horizon_is_that_of_a_fault_with_what_comes_after_it(batch, batches):
    assert horizon(Fault("nan", batch=batch, batches=batches)) == batch + batches + SETTLING + WATCHED
