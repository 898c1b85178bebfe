import pytest

from bench.cli import percent
from bench.errors import UsageError


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("2.5%", 0.025), (" 150% ", 1.5), ("5 %", 0.05)])
def test_percentages(text, share):
    assert percent.parse("--x", text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "0.05", "%", "", "five%", "0%", "-1%", "nan%", "inf%", "5%%", "5%x"])
def test_anything_else_is_refused_with_the_option_named(text):
    with pytest.raises(UsageError, match=r"--x '.*': must be a percentage"):
        percent.parse("--x", text)
