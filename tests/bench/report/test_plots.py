import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from survivals import NAN, survival_record

from bench.faults.experiment import PACE
from bench.report import plots


def points(axes, label):
    """What is drawn under a label."""
    (line,) = (line for line in axes.get_lines() if line.get_label() == label)
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def test_files_are_whole_and_the_same_again(tmp_path):
    paths = plots.survival(survival_record(), tmp_path)
    assert [path.name for path in paths] == [
        "survival-by-magnitude.png",
        "survival-by-magnitude.svg",
        "survival-around-a-fault.png",
        "survival-around-a-fault.svg",
    ]
    first = [path.read_bytes() for path in paths]
    assert first[0].startswith(b"\x89PNG")
    assert ElementTree.fromstring(first[1]).tag.endswith("svg")
    plots.survival(survival_record(), tmp_path)
    assert [path.read_bytes() for path in paths] == first


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
    assert (pace.get_ylabel().replace("\n", " "), loss.get_ylabel()) == (PACE, "loss")
    assert pace.get_yscale() == "log"
    assert points(loss, "before, with the fault")[0][-1] == 11
    x, y = points(loss, "after, with the fault")
    np.testing.assert_allclose(y, 1.0 - 0.01 * x)
    assert len(points(loss, "after, without")[0]) == 81


def test_the_middle_of_the_runs_is_drawn():
    record = survival_record()
    runs = ((1.0, 2.0), (3.0, 4.0), (8.0, 9.0), (4.0, float("inf")))
    record.curves["after"][NAN]["loss"] = runs
    _, loss = plots.around_a_fault(record).axes
    np.testing.assert_allclose(points(loss, "after, with the fault")[1], [3.5, 4.0])


def test_nothing_to_draw():
    record = survival_record(curves={}, survivals={"before": (), "after": ()})
    assert plots.around_a_fault(record) is None
    assert plots.by_magnitude(record) is None
