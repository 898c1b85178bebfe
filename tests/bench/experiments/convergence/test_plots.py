import numpy as np
import pytest
from convergences import DOWN, LOOPS, NEITHER, UP, convergence_record, course

from bench.experiments.convergence import plots
from bench.experiments.convergence.figures import ConvergenceFigures


def drawn(*seeds, **changes):
    record = convergence_record(seeds or (0, 1, 2), **changes)
    return plots.draw(ConvergenceFigures.of(record), list(record.plan.loops))


def line(axes, loop):
    (found,) = (each for each in axes.get_lines() if each.get_label() == loop)
    return found


def test_a_panel_a_metric_and_one_of_temperature():
    figure = drawn()
    assert [axes.get_title() for axes in figure.axes] == [DOWN, UP, NEITHER, "temperature"]
    assert figure.axes[-1].get_xlabel() == "batches trained"
    np.testing.assert_allclose(line(figure.axes[0], "after").get_ydata(), [5.01, 4.51, 4.01, 3.51, 3.01])
    np.testing.assert_allclose(line(figure.axes[0], "after").get_xdata(), [0, 10, 20, 30, 40])
    temperatures = [each.get_ydata()[-1] for each in figure.axes[-1].get_lines()]
    assert temperatures == pytest.approx([0.8, 1.6, 0.8])


def test_the_band_is_the_interval():
    (band, *_) = drawn().axes[0].collections
    low, high = band.get_datalim(drawn().axes[0].transData).intervaly
    assert (low, high) == pytest.approx((3.985, 5.035), abs=0.001)


def test_a_single_seed_has_a_line_and_no_band():
    axes = drawn(0).axes[0]
    assert len(axes.get_lines()) == 3
    assert not axes.collections


def test_legible_without_colour_and_named_once():
    figure = drawn()
    looks = [(each.get_linestyle(), each.get_marker()) for each in figure.axes[0].get_lines()]
    assert len({style for style, _ in looks}) == len({marker for _, marker in looks}) == 3
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(LOOPS)


def test_markers_of_lines_that_lie_on_one_another_are_in_other_places():
    assert [plots._every(21, place) for place in range(4)] == [(0, 3), (1, 3), (2, 3), (0, 3)]
    assert plots._every(5, 2) == (0, 1)


def test_a_loop_that_always_died_has_no_line():
    dead = {("before", seed): course("before", seed, ended="crashed", why="x", moments=()) for seed in range(3)}
    figure = drawn(changed=dead)
    assert [each.get_label() for each in figure.axes[0].get_lines()] == list(LOOPS[1:])


def test_loops_that_do_not_say_their_temperature_have_no_panel_for_it():
    def silent(loop, seed):
        run = course(loop, seed)
        moments = tuple(each.model_copy(update={"temperature": None}) for each in run.moments)
        return run.model_copy(update={"moments": moments})

    figure = drawn(changed={(loop, seed): silent(loop, seed) for loop in LOOPS for seed in range(3)})
    assert [axes.get_title() for axes in figure.axes] == [DOWN, UP, NEITHER]
