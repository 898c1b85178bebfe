import numpy as np
import pytest
from pictures import assert_legible, assert_whole
from sweeps import died, measured, sweep, sweep_record

from bench.experiments.sweep import plots


def test_there_is_a_picture_of_a_sweep():
    (picture,) = plots.pictures(sweep_record())
    assert picture.stem == "costs"
    assert_whole(picture)


def test_each_axis_has_a_panel_of_cost_and_one_of_throughput():
    panels = plots.draw(sweep_record()).axes
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in panels]
    assert labels == [(axis, what) for axis in ("batch", "tokens") for what in ("ms/batch", "tokens/s")]
    for axes in panels:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["16", "64", "256"]


def test_medians_and_quartiles_are_where_they_belong():
    cost, throughput, *_ = plots.draw(sweep_record()).axes
    before, after = cost.containers
    np.testing.assert_allclose(np.asarray(before.lines[0].get_xdata(), float), [16, 64])  # not 256, which died
    np.testing.assert_allclose(np.asarray(before.lines[0].get_ydata(), float), [20, 60], rtol=0.01)
    np.testing.assert_allclose(np.asarray(after.lines[0].get_ydata(), float), [10, 30], rtol=0.01)
    low, high = before.lines[2][0].get_segments()[0][:, 1]
    assert low < 20 < high < 20.1
    np.testing.assert_allclose(
        np.asarray(throughput.containers[0].lines[0].get_ydata(), float), [16_000, 64 * 20 / 0.06], rtol=0.01
    )
    assert before.lines[0].get_marker() != after.lines[0].get_marker()  # legible without colour
    assert before.lines[0].get_linestyle() != after.lines[0].get_linestyle()


def test_a_point_that_died_is_a_line_with_its_name():
    figure = plots.draw(sweep_record())
    lines = [line for line in figure.axes[0].get_lines() if line.get_label() == "not measured"]
    assert [line.get_xdata()[0] for line in lines] == [256]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["before (a:b)", "after (c:d)", "not measured"]


@pytest.mark.parametrize("samples", [64, None])
def test_without_samples_there_is_no_panel_of_throughput(samples):
    plan = sweep()
    figure = plots.draw(sweep_record(plan, [measured(point, samples) for point in plan.distinct().values()]))
    assert [axes.axison for axes in figure.axes] == [True, samples is not None] * 2
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 2


def test_the_picture_says_what_is_to_be_seen():
    (picture,) = plots.pictures(sweep_record())
    assert "and tokens a second (right) of before (a:b) and after (c:d) against batch, tokens" in picture.caption
    assert picture.caption.endswith("an upright line is a size that could not be measured.")
    assert_legible(picture.draw())


def test_without_any_measured_point_there_is_no_picture():
    plan = sweep()
    record = sweep_record(plan, [died(point) for point in plan.distinct().values()])
    assert plots.pictures(record) == ()
