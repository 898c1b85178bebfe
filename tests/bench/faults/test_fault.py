import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.faults import Fault

targets = st.sampled_from(["all", "generator", "discriminator", "lstm/kernel"])
faults = st.one_of(
    st.builds(Fault, kind=st.sampled_from(["nan", "inf"]), target=targets),
    st.builds(Fault, kind=st.just("scale"), factor=st.floats(allow_nan=False, allow_infinity=False), target=targets),
)


@given(faults)
def test_text_makes_the_same_fault_again(fault):
    assert Fault.parse(str(fault)) == fault


def test_texts():
    assert Fault.parse("scale=1e4,target=generator") == Fault("scale", 1e4, "generator")
    assert Fault.parse("nan") == Fault("nan", target="all")
    assert Fault("scale", 1e4, "generator").describe() == "gradients × 10000, generator"
    assert Fault("nan").describe() == "NaN gradients, all networks"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("zero", "fault kind 'zero'"),
        ("scale", "could not convert"),
        ("scale=big", "could not convert"),
        ("scale=nan", "must be finite"),
        ("scale=inf", "must be finite"),
        ("nan=3", "only the kind scale has one"),
        ("nan,batch=3", "'batch=3' must be target=NAME"),
        ("nan,target=", "fault target ''"),
    ],
)
def test_no_fault_is_one_line_with_the_text(text, says):
    with pytest.raises(UsageError) as caught:
        Fault.parse(text)
    assert says in str(caught.value)


def test_hits_by_name():
    assert Fault("nan", target="generator").hits("generator/lstm/kernel")
    assert not Fault("nan", target="generator").hits("discriminator/output/bias")
    assert Fault("nan").hits("anything")
