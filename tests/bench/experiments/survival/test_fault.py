import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.errors import UsageError
from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.fault import EXTENTS, Call

finite = st.floats(allow_nan=False, allow_infinity=False)
places = st.sampled_from(
    ["gradients", "weights", "learning_rate", "a.b:f", "a_b:C.f(x)", "method", "part.method(x_1)", "_f(y)", "m2:_g"]
)
fields = {
    "place": places,
    "target": st.text(min_size=1).filter(lambda text: not set(text) & set(",=")),
    "extent": st.sampled_from(EXTENTS),
    "batch": st.integers(1),
    "batches": st.integers(1),
    "probability": st.floats(0, 1, exclude_min=True),
    "seed": st.integers(0),
}
growths = st.floats(0, exclude_min=True, allow_infinity=False)
faults = st.one_of(
    st.builds(Fault, kind=st.sampled_from(["nan", "inf"]), **fields),
    st.builds(Fault, kind=st.just("scale"), factor=finite, growth=growths, **fields),
    st.builds(Fault, kind=st.just("nan"), **{**fields, "place": st.just("gradients")}, replica=st.integers(0)),
)
offsets = st.integers(0, 2**40)


@given(faults)
def test_text_makes_the_same_fault_again(fault):
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nan", Fault("nan")),
        ("scale=1e4,target=generator", Fault("scale", 1e4, target="generator")),
        ("scale=0.5,batch=30,batches=3,growth=10", Fault("scale", 0.5, batch=30, batches=3, growth=10.0)),
        ("nan,in=weights,extent=element", Fault("nan", place="weights", extent="element")),
        ("inf,in=my.steps:loss(rewards)", Fault("inf", place="my.steps:loss(rewards)")),
        ("nan,batches=40,probability=0.1,seed=3", Fault("nan", batches=40, probability=0.1, seed=3)),
        ("nan,replica=0", Fault("nan", replica=0)),
    ],
)
def test_texts(text, fault):
    assert Fault.parse(text) == fault


def test_the_text_is_short_and_leaves_out_what_is_usual():
    assert str(Fault("nan")) == "nan"
    assert str(Fault("scale", 1e38)) == "scale=1e+38"
    assert str(Fault("scale", 0.1 + 0.2)) == "scale=0.30000000000000004"
    assert str(Fault("inf", place="f(x)", batch=3)) == "inf,in=f(x),batch=3"


def test_the_order_of_a_text_does_not_matter():
    assert Fault.parse("nan,batch=3,target=a") == Fault.parse("nan,target=a,batch=3")


@given(faults, offsets)
def test_nothing_goes_wrong_outside_of_its_batches(fault, offset):
    assert fault.strength(fault.batch - 1 - offset) is None
    assert fault.strength(fault.end + offset) is None


@given(st.integers(1, 10**6), st.integers(1, 100))
def test_it_lasts_from_its_batch_on_for_as_many_as_it_says(batch, batches):
    fault = Fault("nan", batch=batch, batches=batches)
    hit = [number for number in range(batch - 2, batch + batches + 2) if fault.strength(number) is not None]
    assert hit == list(range(batch, batch + batches))
    assert fault.end == batch + batches


@given(st.floats(-1e3, 1e3), st.floats(0.5, 2), st.integers(0, 49))
def test_its_strength_is_the_factor_grown_from_batch_to_batch(factor, growth, later):
    fault = Fault("scale", factor, batch=7, batches=50, growth=growth)
    assert fault.strength(7 + later) == pytest.approx(factor * growth**later)


@given(faults, st.integers(0, 2**32), offsets)
def test_what_is_no_chance_is_the_same_in_every_run(fault, run, offset):
    fault = dataclasses.replace(fault, batches=2**40 + 1, probability=1.0)
    assert fault.strength(fault.batch + offset, run) == fault.strength(fault.batch + offset)


@given(faults, offsets)
def test_its_strength_is_always_a_number(fault, offset):
    fault = dataclasses.replace(fault, batches=2**40 + 1, probability=1.0)
    strength = fault.strength(fault.batch + offset)
    assert isinstance(strength, float)
    assert not math.isnan(strength)
    if fault.kind != "scale":
        assert strength == 1.0


def test_a_factor_beyond_a_float_is_infinite_and_zero_stays_zero():
    assert Fault("scale", 1e4, batches=1000, growth=10.0).strength(900) == math.inf
    assert Fault("scale", -1e4, batches=1000, growth=10.0).strength(900) == -math.inf
    assert Fault("scale", 1e4, batches=1000, growth=0.1).strength(900) == 0.0
    assert Fault("scale", 0.0, batches=1000, growth=10.0).strength(900) == 0.0


@given(faults, faults, st.integers(0, 2**32), st.integers(0, 2**32), offsets)
def test_its_draws_depend_on_both_seeds_and_batch_alone(one, other, seed, run, offset):
    def drawn(fault):
        fault = dataclasses.replace(fault, batch=1, batches=2**41, probability=0.3, seed=seed)
        return fault.strength(1 + offset, run) is not None

    assert drawn(one) == drawn(other)


def test_its_draws_differ_with_both_seeds_and_batch():
    def drawn(seed, run=0):
        fault = Fault("nan", batch=1, batches=64, probability=0.5, seed=seed)
        return tuple(fault.strength(batch, run) is not None for batch in range(1, 65))

    # That of the fault and that of the run are not the same thing: (1, 0) is another draw than (0, 1).
    assert len({drawn(seed, run) for seed in range(20) for run in range(20)}) == 400
    assert drawn(3) == drawn(3, 0)
    assert drawn(0) != (drawn(0)[0],) * 64


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5, 0.9])
def test_it_happens_as_often_as_it_says(probability):
    batches = 4000
    fault = Fault("nan", batch=1, batches=batches, probability=probability)
    found = sum(fault.strength(batch) is not None for batch in range(1, batches + 1))
    deviation = math.sqrt(batches * probability * (1 - probability))
    assert abs(found - batches * probability) < 4 * deviation


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "zero"}, "fault kind 'zero': must be one of nan, inf, scale"),
        ({"factor": math.nan}, "fault factor nan: must be finite; nan and inf are kinds of their own"),
        ({"factor": math.inf}, "fault factor inf: must be finite; nan and inf are kinds of their own"),
        ({"kind": "nan", "factor": 2.0}, "fault factor 2.0: must be left out: only the kind scale has one, not nan"),
        ({"kind": "inf", "growth": 2.0}, "fault growth 2.0: must be left out: only the kind scale has one, not inf"),
        (
            {"place": "a b"},
            "fault place 'a b': must be gradients, weights, learning_rate, module:function(argument) or "
            "method(argument)",
        ),
        ({"target": ""}, "fault target '': must be part of a variable's name, or all"),
        ({"target": "a=b"}, "fault target 'a=b': must be part of a variable's name, or all"),
        ({"extent": "some"}, "fault extent 'some': must be one of all, variable, element"),
        ({"batch": 0}, "fault batch 0: must be a whole number of at least 1"),
        ({"batch": 1.5}, "fault batch 1.5: must be a whole number of at least 1"),
        ({"batch": True}, "fault batch True: must be a whole number of at least 1"),
        ({"batches": 0}, "fault batches 0: must be a whole number of at least 1"),
        ({"seed": -1}, "fault seed -1: must be a whole number of at least 0"),
        ({"probability": 0.0}, "fault probability 0.0: must be above 0 and at most 1"),
        ({"probability": 1.1}, "fault probability 1.1: must be above 0 and at most 1"),
        ({"probability": math.nan}, "fault probability nan: must be above 0 and at most 1"),
        ({"growth": 0.0}, "fault growth 0.0: must be a finite number above 0"),
        ({"replica": -1}, "fault replica -1: must be a whole number of at least 0"),
        (
            {"replica": 1, "place": "weights"},
            "fault replica 1: must be left out: only gradients have a replica, not weights",
        ),
        ({"growth": math.inf}, "fault growth inf: must be a finite number above 0"),
    ],
    ids=str,
)
def test_what_is_no_fault_is_refused_with_field_and_value(wrong, says):
    with pytest.raises(UsageError) as caught:
        Fault(**{"kind": "scale", **wrong})
    assert str(caught.value) == says


@pytest.mark.parametrize("place", ["", ":", "f(", "f()", "m:", ":f", "1f", "f(1)", "f(x)y", "m:n:f", "f(x,y)", "a\n"])
def test_a_place_is_a_function_by_its_name(place):
    with pytest.raises(UsageError, match=r"^fault place "):
        Fault("nan", place=place)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "fault kind '': must be one of nan, inf, scale"),
        ("zero,batch=3", "fault kind 'zero': must be one of nan, inf, scale"),
        ("scale", "factor '': must be a number"),
        ("scale=big", "factor 'big': must be a number"),
        ("scale=nan", "fault factor nan: must be finite; nan and inf are kinds of their own"),
        ("scale=1e999", "fault factor inf: must be finite; nan and inf are kinds of their own"),
        ("nan=3", "fault factor 3.0: must be left out: only the kind scale has one, not nan"),
        ("nan,batch", "batch '': must be a whole number"),
        ("nan,batch=x", "batch 'x': must be a whole number"),
        ("nan,batch=1e3", "batch '1e3': must be a whole number"),
        ("nan,probability=often", "probability 'often': must be a number"),
        ("nan,batch=3,batch=3", "batch is given twice"),
        ("nan,target=", "fault target '': must be part of a variable's name, or all"),
        (
            "nan,place=weights",
            "'place' is not one of in, target, extent, batch, batches, probability, growth, seed, replica",
        ),
        ("nan,", "'' is not one of in, target, extent, batch, batches, probability, growth, seed, replica"),
        ("nan,kind=inf", "'kind' is not one of in, target, extent, batch, batches, probability, growth, seed, replica"),
        ("nan,extent=a\nb", "fault extent 'a\\nb': must be one of all, variable, element"),
    ],
)
def test_a_text_that_is_no_fault_is_one_line_with_the_text(text, says):
    with pytest.raises(UsageError) as caught:
        Fault.parse(text)
    assert str(caught.value) == f"fault {text!r}: {says}"
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_fault_or_refused_in_one_line(text):
    refused, fault = "", None
    try:
        fault = Fault.parse(text)
    except UsageError as error:
        refused = str(error)
    assert "\n" not in refused
    assert refused or Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("gradients", None),
        ("weights", None),
        ("learning_rate", None),
        ("a.b:C.f(x)", Call("a.b", "C.f", "x")),
        ("a:f", Call("a", "f", None)),
        ("part.method(x)", Call(None, "part.method", "x")),
        ("method", Call(None, "method", None)),
    ],
)
def test_the_function_it_gets_in_by(place, call):
    assert Fault("nan", place=place).call == call


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("nan", "NaN gradients, all networks"),
        ("inf,target=generator", "infinite gradients, generator"),
        ("inf,target=generator,replica=1", "infinite gradients, generator, replica 1 alone"),
        ("nan,replica=0", "NaN gradients, all networks, replica 0 alone"),
        ("scale=1e4,target=generator", "gradients × 10000, generator"),
        ("nan,extent=element", "NaN gradients in one element, all networks"),
        ("scale=-2,extent=variable", "gradients of one variable × -2, all networks"),
        ("nan,batches=3", "NaN gradients, all networks, for 3 batches"),
        ("nan,batch=5", "NaN gradients, all networks, batch 5"),
        ("nan,batch=5,batches=2", "NaN gradients, all networks, for 2 batches, from batch 5 on"),
        ("nan,batches=40,probability=0.1", "NaN gradients, all networks, at random in 10% of 40 batches"),
        ("scale=10,batches=10,growth=10", "gradients × 10, all networks, for 10 batches, × 10 more in each"),
        ("nan,in=weights,extent=element", "NaN in weights in one element, all networks"),
        ("scale=1000,in=learning_rate,target=generator", "learning rate × 1000, generator"),
        ("nan,in=a.b:loss(rewards),target=generator", "NaN in rewards of loss, generator"),
        ("inf,in=a.b:C.loss", "infinity in the result of loss"),
        ("scale=0,in=step(x)", "x of step × 0"),
    ],
)
def test_it_is_described(text, described):
    assert Fault.parse(text).describe() == described


def test_hits_by_part_of_the_name():
    assert Fault("nan", target="generator").hits("generator/lstm/kernel")
    assert not Fault("nan", target="generator").hits("discriminator/output/bias")
    assert Fault("nan").hits("anything")
