import numpy as np
import pytest
from pictures import assert_legible

from bench.experiments.run import history_plots

NAN, INF = float("nan"), float("inf")


def draw(before, after):
    figure = history_plots.history({"before": before, "after": after})
    assert_legible(figure)
    return figure


def labelled(axes, label):
    return [np.asarray(line.get_ydata(), float) for line in axes.get_lines() if line.get_label() == label]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_metric_has_a_panel_with_both_arms():
    series = np.sin(np.arange(200.0))
    figure = draw({"loss": series, "accuracy": series}, {"loss": series + 5, "accuracy": series})
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    loss = figure.axes[0]
    (before,), (after,) = (labelled(loss, f"{arm}, running mean") for arm in ("before", "after"))
    assert np.ptp(before) < np.ptp(series)
    assert after - before == pytest.approx(5.0)
    raw = [line for line in loss.get_lines() if line.get_linewidth() < 1]
    np.testing.assert_array_equal(raw[1].get_ydata(), series)
    assert legend(figure) == ["before, running mean", "after, running mean"]


def test_arms_differ_without_colour():
    (axes,) = draw({"loss": [1.0, 2.0]}, {"loss": [1.0, 2.0]}).axes
    assert len({line.get_linestyle() for line in axes.get_lines() if line.get_linewidth() > 1}) == 2


def test_what_is_not_finite_is_a_gap_and_a_cross():
    (axes,) = draw({"loss": [1.0] * 10 + [NAN, INF, 1e300] + [1.0] * 10}, {"loss": [2.0]}).axes
    (mean,) = labelled(axes, "before, running mean")
    assert np.flatnonzero(np.isnan(mean)).tolist() == [10, 11, 12]
    (crosses,) = (line for line in axes.get_lines() if line.get_label() == "before, not finite")
    assert crosses.get_xdata().tolist() == [10, 11, 12]
    assert crosses.get_marker() == "x"
    assert labelled(axes, "after, not finite") == []


def test_a_long_history_is_thinned_and_keeps_its_spikes():
    series = np.zeros(100_000)
    series[77_777] = 9.0
    (axes,) = draw({"loss": series}, {}).axes
    raw = axes.get_lines()[0]
    assert len(raw.get_xdata()) < 3000
    assert max(raw.get_ydata()) == 9.0


def test_metrics_of_one_arm_come_after_those_of_both():
    histories = {"before": {"mine": [1.0], "loss": [1.0]}, "after": {"loss": [1.0], "yours": [1.0]}}
    assert history_plots.metrics(histories) == ["loss", "mine", "yours"]


def test_what_has_no_finite_value_is_not_drawn():
    assert history_plots.metrics({"before": {"a": [], "b": [NAN]}, "after": {"a": [INF], "c": [NAN, 1.0]}}) == ["c"]


def test_of_too_many_metrics_the_first_are_drawn():
    history = {f"a metric of ${i} with a name as long as a name can be": [float(i), 2.0] for i in range(30)}
    figure = draw(history, {})
    assert len(figure.axes) == history_plots.MOST_METRICS
    assert figure.axes[0].get_ylabel().startswith("a metric of $0")
    assert legend(figure) == ["before, running mean"]
