import pytest
from sweeps import BATCH, SETTINGS, SIZES, TOKENS, sweep

from loop_bench.errors import UsageError
from loop_bench.experiments.sweep.plan import Axis, Size, Sweep, parse_axes


def test_a_size_on_several_axes_is_one_point():
    plan = sweep()
    assert len(plan.distinct()) == 4
    assert list(plan.titles().values()) == ["batch 16", "batch 64 = tokens 20", "batch 256", "tokens 40"]
    assert list(plan.titles()) == list(plan.distinct())
    assert plan.points["batch"][1] == plan.points["tokens"][0]


def test_the_size_of_the_settings_is_known():
    plan = sweep()
    assert [plan.is_own(point) for point in plan.points["batch"]] == [False, True, False]


def test_the_time_for_rounds_is_shared_by_the_points():
    of_all = SETTINGS.model_copy(update={"max_time": 100.0})
    assert {point.settings.max_time for point in sweep(settings=of_all).distinct().values()} == {25.0}


def test_points_have_all_else_of_the_settings():
    settings = SETTINGS.model_copy(update={"options": {"script": "a.csv"}, "seed": 3})
    size = Size({"script": "a.csv", "batch_size": 16}, 20)
    (point,) = sweep({BATCH.model_copy(update={"values": (16,)}): [size]}, settings).distinct().values()
    assert point.settings.options == {"script": "a.csv", "batch_size": 16}
    assert (point.settings.seed, point.tokens) == (3, 20)


def test_each_value_has_a_point():
    with pytest.raises(ValueError, match="a point for each value"):
        Sweep.of(SETTINGS, {**SIZES, TOKENS: SIZES[TOKENS][:1]})
    assert Sweep.model_validate_json(sweep().model_dump_json()) == sweep()


KNOWN = ("batch", "tokens", "vocabulary")


def test_values_are_in_order_and_blanks_mean_nothing():
    assert parse_axes([" tokens = 80, 20,40", "batch=7"], KNOWN) == (
        Axis(name="tokens", values=(20, 40, 80)),
        Axis(name="batch", values=(7,)),
    )


def test_of_other_loops_any_name_is_an_axis():
    assert parse_axes(["layers=2,4"], None)[0].name == "layers"


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
        (["batch=64,16,064"], "64 is given twice"),
        (["batch=1", "batch=2"], "--sweep: axis batch is given twice; give all of its values at once"),
        ([], "no --sweep: name an axis"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(texts, says):
    with pytest.raises(UsageError) as raised:
        parse_axes(texts, KNOWN)
    assert says in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
