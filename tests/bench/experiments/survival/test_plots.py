import numpy as np
import pytest
from pictures import assert_legible, assert_whole
from records import survival
from survivals import NAN, SPIKE, survival_record

from loop_bench.experiments.survival import plots
from loop_bench.experiments.survival.record import PACE


def points(axes, label):
    """What is drawn under a label."""
    (line,) = (line for line in axes.get_lines() if line.get_label() == label)
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def test_shares_and_their_intervals_are_where_they_belong():
    (axes,) = plots.by_magnitude(survival_record()).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["× 10000", "NaN"]
    before, after = axes.containers
    np.testing.assert_allclose(np.asarray(before.lines[0].get_ydata(), float), [0.0, 0.0])
    np.testing.assert_allclose(np.asarray(after.lines[0].get_ydata(), float), [1.0, 1.0])
    (bars,) = after.lines[2]
    low, high = bars.get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.51, 1.0), abs=0.005)  # Wilson, 4 of 4
    assert before.lines[0].get_marker() != after.lines[0].get_marker()  # legible without colour
    assert before.lines[0].get_linestyle() != after.lines[0].get_linestyle()


def test_a_line_ends_where_no_run_has_a_finite_number_any_more():
    pace, loss = plots.around_a_fault(survival_record()).axes
    assert (pace.get_title().replace("\n", " "), loss.get_title()) == (PACE, "loss")
    assert pace.get_ylabel() == "NaN gradients, generator"
    assert pace.get_yscale() == "log"
    assert points(loss, "before, with the fault")[0][-1] == 11
    x, y = points(loss, "after, with the fault")
    np.testing.assert_allclose(y, 1.0 - 0.01 * x)
    assert len(points(loss, "after, without")[0]) == 81


def with_runs(*faults, outcome="survived"):
    """A record with faults that both arms were put through."""
    return survival_record(
        survivals={arm: tuple(survival(outcome, fault) for fault in faults) for arm in ("before", "after")}
    )


def panels(figure):
    return {axes.get_title(): [label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes}


def test_each_network_with_more_than_one_size_has_a_panel():
    record = with_runs(NAN, "nan", "scale=10,target=discriminator", SPIKE, "inf,target=discriminator", "nan,in=weights")
    figure = plots.by_magnitude(record)
    assert panels(figure) == {
        "gradients of one batch, generator": ["NaN", "× 10000"],
        "gradients of one batch, discriminator": ["× 10", "infinite"],
    }
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 2  # once for all panels


def test_of_single_sizes_each_network_has_one():
    assert panels(plots.by_magnitude(with_runs(NAN, "inf"))) == {
        "gradients of one batch, generator": ["NaN"],
        "gradients of one batch, all networks": ["infinite"],
    }


def test_a_panel_has_the_shares_of_its_network_only():
    record = with_runs(NAN, SPIKE, "nan,target=discriminator", "inf,target=discriminator")
    dead = tuple(survival("crashed", run.fault) for run in record.survivals["before"] if "generator" in run.fault)
    untested = (*record.survivals["after"][:3], survival("not tested", "inf,target=discriminator"))
    figure = plots.by_magnitude(record.model_copy(update={"survivals": {"before": dead, "after": untested}}))
    drawn = [
        [np.asarray(bars.lines[0].get_ydata(), float).tolist() for bars in axes.containers] for axes in figure.axes
    ]
    assert drawn == [[[0.0, 0.0], [1.0, 1.0]], [[], [1.0]]]


def crosses(axes):
    """Where lines end with an x."""
    return [(float(line.get_xdata()[0]), line.get_color()) for line in axes.get_lines() if line.get_marker() == "x"]


def of_loss(usual, *runs):
    """A record in which the runs with the fault have these losses, and those without one so many batches."""
    record = survival_record()
    record.curves["before"][NAN]["loss"] = runs
    record.curves["before"][""]["loss"] = ((1.0,) * usual,) * 4
    return record


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (((1.0,) * 12, (1.0,) * 20), [19.0]),  # all have died
        (((1.0,) * 12, (1.0,) * 81), []),  # one has not
        (((1.0,) * 81,) * 2, []),
        (((1.0,) * 95,), []),  # the fault has waited for its network
        (((1.0,) * 80,), [79.0]),
        (((1.0,) * 30 + (float("nan"),) * 51,), [29.0]),
        (((),), []),
    ],
)
@pytest.mark.parametrize("usual", [12, 101])  # of the run without a fault nothing follows
def test_a_line_ends_with_a_cross_where_the_last_run_has_died(usual, runs, expected):
    _, loss = plots.around_a_fault(of_loss(usual, *runs)).axes
    assert [x for x, _ in crosses(loss)] == expected


def test_the_middle_of_the_runs_is_drawn():
    record = survival_record()
    runs = ((1.0, 2.0), (3.0, 4.0), (8.0, 9.0), (4.0, float("inf")))
    record.curves["after"][NAN]["loss"] = runs
    _, loss = plots.around_a_fault(record).axes
    np.testing.assert_allclose(points(loss, "after, with the fault")[1], [3.5, 4.0])


def test_there_is_a_picture_of_what_a_record_holds():
    magnitude, around = plots.pictures(survival_record())
    assert (magnitude.stem, around.stem) == ("by-magnitude", "around-a-fault")
    assert "before (my.bef:make) and after (my.aft:make)" in magnitude.caption
    assert " and loss of before" in around.caption
    for picture in (magnitude, around):
        assert_whole(picture)
        assert_legible(picture.draw())


def test_each_fault_has_a_row_and_long_names_have_room():
    record = survival_record()
    for arm in ("before", "after"):
        long = f"nan,target={'a network of a long name ' * 4}"
        record.curves[arm][long] = record.curves[arm][NAN]
    figure = plots.around_a_fault(record)
    assert len(figure.axes) == 2 * 2
    assert_legible(figure)


def test_nothing_to_draw():
    assert plots.pictures(survival_record(curves={}, survivals={"before": (), "after": ()})) == ()
