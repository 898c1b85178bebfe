import itertools

import numpy as np
import pytest
from matplotlib.lines import Line2D
from pictures import assert_legible

from loop_bench.report import plots
from loop_bench.settings import TIMED


def empty():
    drawn = plots.figure(2.0)
    return drawn, drawn.subplots()


def test_the_loops_differ_without_colour():
    for one, other in itertools.combinations(TIMED, 2):
        for what in ("marker", "linestyle", "color"):
            assert plots.LOOKS[one][what] != plots.LOOKS[other][what]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("of five words or six", "of five\nwords or\nsix"),
        ("a" * 50, "\n".join(["a" * 9, "a" * 9, "a" * 8 + "…"])),
    ],
)
def test_texts_are_wrapped_or_cut(text, expected):
    assert plots.letters(0.7) == 9
    assert plots.wrapped(text, 3, 0.7) == expected


def test_what_is_left_out_of_a_wrapped_text_is_told():
    assert plots.wrapped("one two three four", 1, 0.7) == "one two …"
    assert plots.cut("one two", 5) == "one…"
    assert plots.cut("one", 3) == "one"


def columns(*labels):
    drawn, axes = empty()
    axes.plot([1, 2])
    plots.legend(drawn, {label: Line2D([], []) for label in labels})
    assert_legible(drawn)
    (legend,) = drawn.legends
    return legend._ncols


def test_a_legend_has_as_many_columns_as_there_is_room_for():
    assert columns("before", "after") == 2
    assert columns("short", "a factory of a rather long name:make_loop", "another one of a long name:make_loop") == 1
    assert columns("my.package." * 30, "costs $ and $") == 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(20, 70, [20, 30, 50, 70]), (1.5, 150, [2, 5, 10, 20, 50, 100]), (0.5, 5000, [1, 10, 100, 1000])],
)
def test_logarithmic_axes_have_round_numbers(low, high, expected):
    drawn, axes = empty()
    axes.plot([low, high])
    plots.logarithmic(axes, "y")
    drawn.canvas.draw()
    bottom, top = axes.get_ylim()
    assert [tick for tick in axes.get_yticks() if bottom <= tick <= top] == pytest.approx(expected)
    assert axes.yaxis.get_major_formatter()(1000) == "1,000"


def test_pictures_are_saved_whole_and_the_same_again(tmp_path):
    def draw():
        drawn, axes = empty()
        axes.set_title("漢字 $ and $", **plots.VERBATIM)  # letters that the font has not are no warning
        axes.fill_between([0, 1], [1, 2], hatch="//")
        return drawn

    paths = [*plots.save(draw(), tmp_path / "one"), *plots.save(draw(), tmp_path / "two.5")]
    assert [path.name for path in paths] == ["one.png", "one.svg", "two.5.png", "two.5.svg"]
    assert paths[0].read_bytes() == paths[2].read_bytes()
    assert paths[1].read_bytes() == paths[3].read_bytes()
    assert "漢字 $ and $" in paths[1].read_text(encoding="utf-8")


NAN, INF = float("nan"), float("inf")


def test_the_running_median_leaves_an_outlier_out():
    found = plots.running_median(np.array([1.0, 1.0, 90.0, 1.0, 2.0]), 3)
    assert found.tolist() == [1.0, 1.0, 1.0, 2.0, 1.5]  # of two at the ends


def test_the_running_mean_is_of_what_is_known_and_has_the_same_gaps():
    found = plots.running_mean(np.array([1.0, 3.0, NAN, 5.0]), 3)
    np.testing.assert_allclose(found, [2.0, 2.0, NAN, 5.0])
    assert plots.running_mean(np.array([]), 3).size == 0


def test_what_no_axis_can_hold_is_missing():
    found = plots.finite(np.array([1.0, INF, -INF, NAN, 1e300, -1e30]))
    np.testing.assert_array_equal(found, [1.0, NAN, NAN, NAN, NAN, -1e30])


def test_a_thinned_line_has_its_ends_and_its_spikes():
    values = np.zeros(10_000)
    values[[1234, 5678]] = 9.0, -9.0
    found = plots.thinned(values, 100)
    assert {0, 1234, 5678, 9999} <= set(found.tolist())
    assert 50 <= len(found) <= 102
    assert np.all(np.diff(found) > 0)


def test_a_thinned_line_has_its_gap():
    values = np.arange(1000.0)
    values[300:600] = NAN
    kept = values[plots.thinned(values, 100)]
    assert 14 <= np.isnan(kept).sum() <= 16


@pytest.mark.parametrize("count", [0, 1, 99, 100])
def test_a_short_line_stays_as_it_is(count):
    assert plots.thinned(np.zeros(count), 100).tolist() == list(range(count))
