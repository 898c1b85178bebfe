import numpy as np
import pytest
from pictures import assert_legible, texts
from records import record

from bench.experiments.run import round_plots
from bench.experiments.run.figures import Comparison
from bench.report import plots
from bench.settings import TIMED


def times(**shape):
    made = record(**shape)
    return round_plots.times(made.rounds, Comparison.of(made), "a title")


def ratios(**shape):
    made = record(**shape)
    return round_plots.ratios(made.rounds, Comparison.of(made).timing, "a title")


def dots(axes):
    """Of each loop, by its marker."""
    return {
        line.get_marker(): np.asarray(line.get_ydata(), float)
        for line in axes.get_lines()
        if line.get_linestyle() == "None" and len(line.get_xdata())
    }


def lines(axes):
    """Of each loop, by its dashes."""
    return {
        line.get_linestyle(): np.asarray(line.get_ydata(), float)
        for line in axes.get_lines()
        if line.get_linestyle() != "None" and len(line.get_xdata()) > 2
    }


def test_every_round_is_a_dot_and_the_median_runs_through_them():
    figure = times(before=0.060, null=0.061, after=0.030, noise=0.01, count=40)
    over, _ = figure.axes
    for name, middle in zip(TIMED, (60, 61, 30), strict=True):
        looks = plots.LOOKS[name]
        assert len(dots(over)[looks["marker"]]) == 40
        assert dots(over)[looks["marker"]] == pytest.approx(middle, rel=0.05)
        assert lines(over)[looks["linestyle"]] == pytest.approx(middle, rel=0.02)
        assert np.ptp(lines(over)[looks["linestyle"]]) < np.ptp(dots(over)[looks["marker"]])
    assert (over.get_xlabel(), over.get_ylabel()) == ("round", "ms/batch")
    assert_legible(figure)


def test_distributions_stand_beside_with_their_medians():
    over, beside = times(before=0.060, after=0.030, noise=0).axes
    names = [label.get_text() for label in beside.get_xticklabels()]
    assert names == ["before\n60 ms", "before\nagain\n60 ms", "after\n30 ms"]
    assert beside.get_ylim() == over.get_ylim()
    medians = [line for line in beside.get_lines() if line.get_linewidth() > 2]
    assert [line.get_ydata()[0] for line in medians] == pytest.approx([60, 60, 30])


def test_the_legend_has_each_loop_in_its_order():
    (legend,) = times().legends
    assert [text.get_text() for text in legend.get_texts()] == ["before", "before again", "after"]
    assert [line.get_marker() for line in legend.get_lines()] == [plots.LOOKS[name]["marker"] for name in TIMED]


@pytest.mark.parametrize(("after", "scale"), [(0.030, "linear"), (0.003, "log")])
def test_loops_that_are_far_apart_are_on_a_logarithmic_axis(after, scale):
    figure = times(after=after)
    assert {axes.get_yscale() for axes in figure.axes} == {scale}


@pytest.mark.parametrize("count", [1, 2, round_plots.SMOOTHED - 1])
def test_of_a_few_rounds_there_are_only_dots(count):
    for figure in (times(count=count), ratios(count=count)):
        assert lines(figure.axes[0]) == {}
        assert_legible(figure)


def test_of_many_rounds_dots_are_smaller_and_an_image():
    made = [record(count=count) for count in (20, 1001)]
    found = Comparison.of(made[0])  # of the other it takes long
    few, many = (round_plots.times(each.rounds, found, "").axes[0] for each in made)
    sizes = [axes.get_lines()[0].get_markersize() for axes in (few, many)]
    assert sizes[1] < sizes[0]
    assert not few.get_lines()[0].get_rasterized()
    assert many.get_lines()[0].get_rasterized()


def test_ratios_have_their_estimate_and_its_band():
    figure = ratios(before=0.060, after=0.020, noise=0.03)
    for axes, expected in zip(figure.axes, (3.0, 1.0), strict=True):
        (cloud,) = dots(axes).values()
        assert np.median(cloud) == pytest.approx(expected, rel=0.02)
        (band,) = axes.patches
        low, high = band.get_y(), band.get_y() + band.get_height()
        assert low < expected < high
        assert high / low < 1.03
        (estimate,) = (line for line in axes.get_lines() if line.get_label() == "estimate")
        assert low < estimate.get_ydata()[0] < high
    assert_legible(figure)


def test_without_enough_rounds_there_is_no_band():
    for axes in ratios(count=9).axes:
        assert len(axes.patches) == 0


def test_the_null_arm_has_the_same_relative_scale():
    figure = ratios(before=0.060, after=0.020, noise=0.03)
    spans = [np.log(axes.get_ylim()[1] / axes.get_ylim()[0]) for axes in figure.axes]
    assert spans[0] == pytest.approx(spans[1])
    assert [axes.get_ylabel() for axes in figure.axes] == ["before / after", "before / before again"]
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "a title"
    assert titles[1].startswith("no measurable difference")


def test_rounds_far_off_make_the_axis_logarithmic():
    assert {axes.get_yscale() for axes in ratios(noise=0.02).axes} == {"linear"}
    assert {axes.get_yscale() for axes in ratios(noise=0.9).axes} == {"log"}


def test_a_title_with_dollars_is_no_formula():
    made = record()
    figure = round_plots.times(made.rounds, Comparison.of(made), "invalid: loss $x_{$")
    assert "invalid: loss $x_{$" in [text.get_text() for text in texts(figure)]
    assert_legible(figure)
