import pytest
from sweeps import BATCH, SETTINGS, SIZES, TOKENS, sweep

from bench.experiments.sweep.plan import Size, Sweep


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
