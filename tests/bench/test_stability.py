import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import statistics

positive = st.lists(st.integers(1, 10**6), min_size=1, max_size=40).map(lambda values: np.array(values) / 1024)


@settings(deadline=None)
@given(positive)
def test_checks_are_about_order_and_not_about_units(samples):
    assert statistics.drift(8 * samples).p_value == pytest.approx(statistics.drift(samples).p_value)
    assert statistics.autocorrelation(8 * samples).lag_1 == pytest.approx(statistics.autocorrelation(samples).lag_1)
    assert statistics.drift(samples[::-1]).change == pytest.approx(1 / (1 + statistics.drift(samples).change) - 1)


def test_independent_samples_raise_no_alarm():
    random = np.random.default_rng(0)
    runs = [random.lognormal(0, 0.1, 100) for _ in range(300)]
    assert sum(statistics.drift(run).significant for run in runs) <= 3
    assert sum(statistics.autocorrelation(run).significant for run in runs) <= 3


def test_a_trend_is_found_with_its_size():
    random = np.random.default_rng(0)
    run = np.linspace(1.0, 1.2, 100) * random.lognormal(0, 0.05, 100)
    run[[5, 50]] *= 10  # outliers
    found = statistics.drift(run)
    assert found.significant
    assert found.change == pytest.approx(0.2, abs=0.05)


def test_a_long_run_is_no_burden():
    found = statistics.drift(np.linspace(1.0, 1.2, 50_000))
    assert found.significant
    assert found.change == pytest.approx(0.2, abs=0.001)


def test_a_step_of_the_machine_is_seen_as_rounds_that_resemble_each_other():
    random = np.random.default_rng(0)
    moods = np.repeat([1.0, 1.3, 1.0, 1.3, 1.0], 20)
    assert statistics.autocorrelation(moods * random.lognormal(0, 0.05, 100)).significant


def test_alternation_is_no_alarm():
    """Rounds whose order alternates may alternate too; that makes intervals wider and not too narrow."""
    assert not statistics.autocorrelation(np.tile([1.0, 1.1], 50)).significant


@pytest.mark.parametrize("samples", [[1.0], [1.0, 2.0], [3.0] * 20])
def test_nothing_is_said_of_too_few_or_equal_samples(samples):
    assert statistics.drift(np.array(samples)) == (0.0, 1.0)
    assert statistics.autocorrelation(np.array(samples)) == (0.0, 1.0)
