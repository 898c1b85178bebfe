import types

import pytest

from bench.cli import options
from bench.errors import UsageError


def config(**changes):
    values = {"utilisation": None, "preset": None, **changes}
    return types.SimpleNamespace(getoption=values.__getitem__)


def test_each_loop_is_watched_for_less_where_batches_are_short():
    assert options.utilisation(config(), "paper") == 5.0
    assert options.utilisation(config(), "tiny") == 1.0
    assert options.utilisation(config(utilisation="7.5"), "tiny") == 7.5


def test_what_is_not_watched_takes_no_time():
    assert options.utilisation_seconds(config(utilisation="0")) == 0
    assert options.utilisation_seconds(config(preset="tiny")) < options.utilisation_seconds(config(preset="paper"))


@pytest.mark.parametrize("text", ["-1", "long", "nan", "inf"])
def test_a_time_must_be_one(text):
    with pytest.raises(UsageError, match=f"--utilisation '{text}': must be a number of at least zero"):
        options.utilisation(config(utilisation=text), "tiny")


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("2.5%", 0.025), (" 150% ", 1.5), ("5 %", 0.05)])
def test_percentages(text, share):
    assert options.percentage("--x", text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "0.05", "%", "", "five%", "0%", "-1%", "nan%", "inf%", "5%%", "5%x"])
def test_anything_else_is_refused_with_the_option_named(text):
    with pytest.raises(UsageError, match=r"--x '.*': must be a percentage"):
        options.percentage("--x", text)
