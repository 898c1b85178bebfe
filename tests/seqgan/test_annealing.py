import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgan.annealing import temperature
from seqgan.config import Config


def test_meets_the_floor_where_arithmetic_says():
    config = Config()
    meets = math.log(config.temperature_end / config.temperature_start) / math.log(config.temperature_decay)
    assert meets == pytest.approx(27.03, abs=0.005)
    assert temperature(config, 27) > config.temperature_end
    assert temperature(config, 28) == config.temperature_end


@pytest.mark.parametrize(("epoch", "expected"), [(0, 2.0), (4, 1.63), (9, 1.26), (14, 0.98), (19, 0.75)])
def test_values(epoch, expected):
    assert temperature(Config(), epoch) == pytest.approx(expected, abs=0.005)


@given(
    start=st.floats(0.5, 10.0),
    decay=st.floats(0.01, 1.0),
    epoch=st.integers(0, 10_000),
)
def test_falls_and_stays_above_the_floor(start, decay, epoch):
    config = Config(temperature_start=start, temperature_end=0.5, temperature_decay=decay)
    assert start >= temperature(config, epoch) >= temperature(config, epoch + 1) >= 0.5
