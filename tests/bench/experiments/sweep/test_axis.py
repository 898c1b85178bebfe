import pytest

from bench.errors import UsageError
from bench.experiments.sweep.axis import Axis, parse

KNOWN = ("batch", "tokens", "vocabulary")


def test_values_are_in_order_and_blanks_mean_nothing():
    assert parse([" tokens = 80, 20,40", "batch=7"], KNOWN) == (
        Axis(name="tokens", values=(20, 40, 80)),
        Axis(name="batch", values=(7,)),
    )


def test_of_other_loops_any_name_is_an_axis():
    assert parse(["layers=2,4"], None)[0].name == "layers"


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (
            ["bacth=16"],
            "--sweep 'bacth=16': axis 'bacth' is unknown (did you mean batch?); the axes are batch, tokens,",
        ),
        (["qqq=16"], "axis 'qqq' is unknown; the axes are"),
        (["batch"], "--sweep 'batch': must be an axis and its values, such as batch=16,64,256"),
        (["batch="], "must be an axis and its values"),
        (["=1"], "must be an axis and its values"),
        ([""], "must be an axis and its values"),
        (["batch=16,"], "'' must be a whole number of at least 1"),
        (["batch=1.5"], "'1.5' must be a whole number"),
        (["batch=-1"], "'-1' must be a whole number"),
        (["batch=0"], "'0' must be a whole number of at least 1"),
        (["batch=²"], "'²' must be a whole number"),
        (["batch=64,16,064"], "64 is there twice"),
        (["batch=1", "batch=2"], "--sweep: axis batch is there twice; give all of its values in one"),
        ([], "no --sweep: name an axis"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(texts, says):
    with pytest.raises(UsageError) as raised:
        parse(texts, KNOWN)
    assert says in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
