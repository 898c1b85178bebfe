import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import assert_legible, texts
from records import arm, record, rounds

from loop_bench.experiments.run import plots
from loop_bench.experiments.run.figures import Comparison
from loop_bench.experiments.run.record import ArmRecord
from loop_bench.experiments.syncs.record import HostSyncs, ReadSite
from loop_bench.report.plots import LOOKS
from loop_bench.settings import TIMED

HISTORY = {"loss": (3.0, 2.0, 1.0)}


FEW = 20
"""Rounds of most records: enough for all that is drawn, and their intervals take a third of the time."""


def by_stem(found):
    return {picture.stem: picture for picture in plots.pictures(found)}


def test_a_whole_record_has_four_pictures():
    arms = {"before": arm("a:b", history=HISTORY), "after": arm("c:d", history=HISTORY)}
    found = by_stem(record(arms=arms, count=FEW))
    assert list(found) == ["times", "ratios", "host-syncs", "metrics"]
    for picture in found.values():
        assert picture.caption.endswith(".")
        assert_legible(picture.draw())


def test_what_a_record_does_not_hold_is_no_picture():
    bare = {name: ArmRecord(factory="a:b") for name in ("before", "after")}
    assert list(by_stem(record(arms=bare, count=FEW))) == ["times", "ratios"]
    assert by_stem(record(arms=bare, rounds=(), rounds_ended=None)) == {}
    none = {name: ArmRecord(factory="a:b", host_syncs=HostSyncs(batches=1, sites=())) for name in bare}
    assert by_stem(record(arms=none, rounds=())) == {}
    assert list(by_stem(record(arms={**bare, "after": arm("c:d")}, rounds=()))) == ["host-syncs"]


def test_captions_say_what_is_seen():
    found = by_stem(record(count=12))
    assert (
        "before (a:b), a second instance of it (before again, the null arm) and after (c:d) in 12 rounds of 10"
        in found["times"].caption
    )
    assert found["ratios"].caption.endswith("and their 95% intervals: no significant drift.")
    few = by_stem(record(count=1))
    assert "1 round of 10 batches: over the rounds, one by one" in few["times"].caption
    assert "interval" not in few["ratios"].caption


def test_drift_is_told():
    slower = tuple(
        each.model_copy(update={"seconds": {**each.seconds, "after": each.seconds["after"] * (1 + i / 99)}})
        for i, each in enumerate(rounds(noise=0.01))
    )
    assert "it drifted by -49.5% over the run" in by_stem(record(rounds=slower))["ratios"].caption


def test_metrics_are_no_check_of_equivalence():
    many = {f"m{i}": (1.0, 2.0) for i in range(30)}
    found = by_stem(record(arms={"before": arm("a:b", history=many), "after": arm("c:d")}, rounds=()))
    assert found["metrics"].caption.startswith("The first 8 of 30 training metrics")
    assert "not the check of equivalence" in found["metrics"].caption


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"before": 0.060, "after": 0.020, "noise": 0}, "faster: 3.00× as fast (95% interval 3.00 to 3.00)"),
        ({"arms": {"after": arm("c:d", touch_seconds=1.0)}}, "faster (suspicious): "),
        ({"before": 0.030, "after": 0.030, "noise": 0.001}, "same: no difference of 3.0% or more"),
        ({"problems": ("before: has not trained",)}, "invalid: before: has not trained"),  # and no speed-up
    ],
)
def test_the_title_is_the_verdict(changes, title):
    found = by_stem(record(**changes, count=FEW))
    for stem in ("times", "ratios"):
        written = [text.get_text().replace("\n", " ") for text in texts(found[stem].draw())]
        assert any(text.startswith(title) for text in written)


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=120)


sites = st.builds(
    ReadSite, route=st.just("numpy"), file=names, line=st.integers(0, 10**6), source=names,
    reads=st.integers(1, 10**6), nbytes=st.just(4), seconds=st.just(0.1), waits=st.just(0), waited=st.just(0.0),
)  # fmt: skip


syncs = st.none() | st.builds(
    HostSyncs, batches=st.integers(1, 1000), sites=st.lists(sites, max_size=15).map(tuple)
)  # fmt: skip


histories = st.dictionaries(names, st.lists(st.floats(), max_size=20).map(tuple), max_size=3)


arms = st.builds(ArmRecord, factory=names, host_syncs=syncs, history=histories)


@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    before=arms, after=arms, count=st.sampled_from([0, 1, 2, 11]), factor=st.floats(1e-4, 1e4), factory=names,
    noise=st.floats(0, 3),
)  # fmt: skip
def test_odd_records_can_be_drawn(before, after, count, factor, factory, noise):
    found = record(
        arms={"before": before, "after": after}, settings={"before": factory},
        rounds=rounds(before=0.06, after=0.06 * factor, count=count, noise=noise),
    )  # fmt: skip
    for picture in plots.pictures(found):
        picture.draw().canvas.draw()


def times(count=FEW, **shape):
    made = record(count=count, **shape)
    return plots.times(made.rounds, Comparison.of(made), "a title")


def ratios(count=FEW, **shape):
    made = record(count=count, **shape)
    return plots.ratios(made.rounds, Comparison.of(made).timing, "a title")


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
        looks = LOOKS[name]
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
    assert [line.get_marker() for line in legend.get_lines()] == [LOOKS[name]["marker"] for name in TIMED]


@pytest.mark.parametrize(("after", "scale"), [(0.030, "linear"), (0.003, "log")])
def test_loops_that_are_far_apart_are_on_a_logarithmic_axis(after, scale):
    figure = times(after=after)
    assert {axes.get_yscale() for axes in figure.axes} == {scale}


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow), plots.SMOOTHED - 1])
def test_of_a_few_rounds_there_are_only_dots(count):
    for figure in (times(count=count), ratios(count=count)):
        assert lines(figure.axes[0]) == {}
        assert_legible(figure)


def test_of_many_rounds_dots_are_smaller_and_an_image():
    made = [record(count=count) for count in (20, 1001)]
    found = Comparison.of(made[0])  # of the other it takes long
    few, many = (plots.times(each.rounds, found, "").axes[0] for each in made)
    sizes = [axes.get_lines()[0].get_markersize() for axes in (few, many)]
    assert sizes[1] < sizes[0]
    assert not few.get_lines()[0].get_rasterized()
    assert many.get_lines()[0].get_rasterized()


def test_ratios_have_their_estimate_and_its_band():
    figure = ratios(before=0.060, after=0.020, noise=0.012)
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
    made = record(count=FEW)
    figure = plots.times(made.rounds, Comparison.of(made), "invalid: loss $x_{$")
    assert "invalid: loss $x_{$" in [text.get_text() for text in texts(figure)]
    assert_legible(figure)


NAN, INF = float("nan"), float("inf")


def draw(before, after):
    figure = plots.history({"before": before, "after": after})
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
    assert plots.metrics(histories) == ["loss", "mine", "yours"]


def test_what_has_no_finite_value_is_not_drawn():
    assert plots.metrics({"before": {"a": [], "b": [NAN]}, "after": {"a": [INF], "c": [NAN, 1.0]}}) == ["c"]


def test_of_too_many_metrics_the_first_are_drawn():
    history = {f"a metric of ${i} with a name as long as a name can be": [float(i), 2.0] for i in range(30)}
    figure = draw(history, {})
    assert len(figure.axes) == plots.MOST_METRICS
    assert figure.axes[0].get_ylabel().startswith("a metric of $0")
    assert legend(figure) == ["before, running mean"]
