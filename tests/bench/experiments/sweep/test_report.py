import io

import numpy as np
import pytest
from parts import facts, headlines, tables
from pictures import assert_legible, assert_whole
from rich.console import Console
from sweeps import SIZES, died, measured, scaling, sweep, sweep_record

from loop_bench.experiments.sweep import figures, report
from loop_bench.report import markdown, terminal


def rows(frame):
    return [tuple(row) for row in frame.itertuples(index=False)]


@pytest.fixture(scope="module")
def record():
    return sweep_record()


@pytest.fixture(scope="module")
def made(record):
    """Its report: the intervals of each point take long."""
    return report.report(record)


@pytest.fixture(scope="module")
def drawn(record):
    return report.draw(record)


def test_each_axis_has_a_table(made):
    assert [*tables(made)] == ["cost as batch grows", "cost as tokens grows"]
    batch, tokens = tables(made).values()
    assert list(batch.columns) == [
        "batch", "before, ms/batch", "after, ms/batch", "before / after", "before / itself", "before, tokens/s",
        "after, tokens/s",
    ]  # fmt: skip
    assert [row[0] for row in rows(batch)] == ["16", "64 (preset)", "256"]
    assert [row[0] for row in rows(tokens)] == ["20 (preset)", "40"]


def test_a_row_has_times_ratio_noise_and_throughput(made):
    small = rows(made.tables[0].frame)[0]
    assert small[1].startswith("20.0")
    assert small[3].startswith("2.00× faster (95%: ")
    assert small[4] == "1.00 (1.00 to 1.00)"
    assert small[5].startswith("16,0")
    assert small[6].startswith(("32,0", "31,9"))


def test_a_point_that_died_is_a_row_that_says_so(made):
    large = rows(made.tables[0].frame)[2]
    assert large[3] == "crashed: killed by SIGKILL, as the system does when memory runs out"
    assert {*large[1:3], *large[4:]} == {"not measured"}


def of_all(**times):
    plan = sweep()
    return sweep_record(plan, [measured(point, **times) for point in plan.distinct().values()])


@pytest.mark.slow
def test_a_difference_is_only_told_where_there_is_one():
    same = rows(report.report(of_all(before=0.03, after=0.03)).tables[0].frame)[0][3]
    assert same.startswith("same: no difference of 3.0% or more")
    noisy = rows(report.report(of_all(before=0.031, after=0.03, noise=0.5)).tables[0].frame)[0][3]
    assert noisy.startswith("inconclusive: ")
    few = rows(report.report(of_all(count=3)).tables[0].frame)[0][3]
    assert few == "invalid: cut short: 3 rounds, and an interval needs 10"
    idle = rows(report.report(of_all(problems=("after: no weight has moved",))).tables[0].frame)[0][3]
    assert idle == "invalid: after: no weight has moved"


def test_of_other_loops_it_is_not_known_what_an_option_does(made):
    assert "options" not in facts(made)
    plan = sweep({axis: [size._replace(tokens=None) for size in sizes] for axis, sizes in SIZES.items()})
    assert facts(report.report(sweep_record(plan)))["options"].startswith("batch and tokens: passed to the loops")


def test_without_samples_there_is_no_throughput():
    axis, _ = figures.of(of_all(samples=None))
    assert list(report.table(axis).columns)[-1] == "before / itself"


def test_facts_are_what_must_be_known(made):
    found = facts(made)
    assert (found["before"], found["after"]) == ("a:b", "c:d")
    assert found["settings"] == "preset tiny, seed 0; each axis is varied alone"
    assert found["rounds"].startswith("20 interleaved rounds of 10 batches a loop at each size")
    assert "before / itself that of a second instance of the loop before (null arm)" in found["columns"]
    assert found["equivalence"].startswith("not compared at each size")
    assert "efficiency" not in found
    assert [*found][-3:] == ["machine", "versions", "commit"]
    assert (found["machine"], found["commit"]) == ("2 cores of a CPU", "abcdef012")


def test_markdown_has_the_answers_in_its_headings(made):
    text = markdown.page(made)
    assert "### Cost as batch grows: before / after 2.00 at 16, 2.00 at 64" in text
    assert "### Cost as tokens grows: before / after 2.00 at 20, 3.00 at 40" in text
    assert text.startswith("**before / after**: 2.00 to 3.00 over 3 of 4 sizes, as ratios of ms/batch")


def by_size(**times):
    """A record of the usual sizes, each with times of its own; None: memory ran out."""
    plan = sweep()
    points = plan.distinct().values()
    names = ("batch_16", "own", "batch_256", "tokens_40")
    return sweep_record(
        plan,
        [
            died(point) if times.get(name, {}) is None else measured(point, **times.get(name, {}))
            for name, point in zip(names, points, strict=True)
        ],
    )


def test_the_headline_is_the_range_over_distinct_sizes():
    """The preset's own size lies on both axes."""
    made = report.report(by_size(batch_256={"after": 0.015}))
    assert headlines(made) == {"before / after": "2.00 to 4.00 over 4 of 4 sizes, as ratios of ms/batch"}


def test_what_is_invalid_is_in_no_headline_and_no_answer():
    broken = {"after": 0.001, "problems": ("after: no weight has moved",)}
    made = report.report(by_size(batch_16=broken, tokens_40={"after": 0.001, "count": 3}))
    assert headlines(made) == {"before / after": "2.00 over 2 of 4 sizes, as ratios of ms/batch"}
    assert [table.answer for table in made.tables] == ["before / after 2.00 at 64, 2.00 at 256", ""]


@pytest.mark.parametrize("times", [None, {"problems": ("after: no weight has moved",)}])
def test_without_a_valid_ratio_the_headline_says_so(times):
    made = report.report(by_size(**dict.fromkeys(("batch_16", "own", "batch_256", "tokens_40"), times)))
    assert made.headlines == (("before / after", "no valid ratio at any of 4 sizes", "unsure"),)
    assert [table.answer for table in made.tables] == ["", ""]


def test_doubts_are_told_with_their_point_and_of_the_preset_once():
    plan = sweep()
    shaky = [measured(point, null=0.07) for point in plan.distinct().values()]
    doubts = report.report(sweep_record(plan, shaky)).doubts
    assert all(line.startswith("doubt: ") for line in doubts)
    of = [line.split(": ")[1] for line in doubts if "a second instance of it differ" in line]
    assert of == ["batch 16", "the preset itself", "batch 256", "tokens 40"]


def test_shown_on_a_terminal(made):
    out = io.StringIO()
    terminal.report(Console(file=out, width=200), made)
    for told in ("Cost as batch grows", "Cost as tokens grows", "16,0", "preset tiny", "before / after: 2.00 to 3.00"):
        assert told in out.getvalue()


def test_numbers_are_named_by_their_point_and_there_are_none_of_one_that_died(made):
    numbers = made.numbers.set_index(["figure", "loop"])
    small = numbers.loc[("time a batch at batch=16", "before")]
    assert (small["value"], small["unit"], small["interval"]) == (pytest.approx(20.0, rel=0.01), "ms", "quartiles")
    assert numbers.loc[("throughput at batch=16", "after"), "value"] == pytest.approx(32_000, rel=0.01)
    assert numbers.loc[("speed-up at tokens=40", "after"), "value"] == pytest.approx(3.0, rel=0.01)
    assert not any("batch=256" in figure for figure, _ in numbers.index)


def test_there_is_a_picture_of_a_sweep(made):
    (picture,) = made.pictures
    assert picture.stem == "costs"
    assert_whole(picture)


def test_each_axis_has_a_panel_of_cost_and_one_of_throughput(drawn):
    panels = drawn.axes
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in panels]
    assert labels == [(axis, what) for axis in ("batch", "tokens") for what in ("ms/batch", "tokens/s")]
    for axes in panels:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["16", "64", "256"]


def test_medians_and_quartiles_are_where_they_belong(drawn):
    cost, throughput, *_ = drawn.axes
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


def test_a_point_that_died_is_a_line_with_its_name(drawn):
    lines = [line for line in drawn.axes[0].get_lines() if line.get_label() == "not measured"]
    assert [line.get_xdata()[0] for line in lines] == [256]
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == ["before (a:b)", "after (c:d)", "not measured"]


@pytest.mark.parametrize("samples", [64, None])
def test_without_samples_there_is_no_panel_of_throughput(samples):
    plan = sweep()
    figure = report.draw(sweep_record(plan, [measured(point, samples) for point in plan.distinct().values()]))
    assert [axes.axison for axes in figure.axes] == [True, samples is not None] * 2
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 2


def test_the_picture_says_what_is_to_be_seen(made):
    (picture,) = made.pictures
    assert "and tokens a second (right) of before (a:b) and after (c:d) against batch, tokens" in picture.caption
    assert picture.caption.endswith("an upright line is a size that could not be measured.")
    assert_legible(picture.draw())


def test_without_any_measured_point_there_is_no_picture():
    plan = sweep()
    record = sweep_record(plan, [died(point) for point in plan.distinct().values()])
    assert report.pictures(record) == ()


def test_replicas_have_their_efficiency():
    made = report.report(scaling())
    first, second, third = rows(made.tables[0].frame[["before, efficiency", "after, efficiency"]])
    assert first == ("1", "1")
    assert (second[0][:9], second[1][:6]) == ("0.75 (0.7", "0.75 (")
    assert third == ("not measured", "not measured")
    assert facts(made)["efficiency"].startswith("of strong scaling: time at 1 replica")
    assert "before, efficiency" in markdown.page(made)
    found = made.numbers.set_index(["figure", "loop"]).loc[("scaling efficiency at replicas=2", "before")]
    assert (found["unit"], found["interval"]) == ("ratio", "95%")
    assert found["value"] == pytest.approx(0.75, rel=0.01)


def test_of_few_rounds_it_has_no_interval():
    (axis,) = figures.of(scaling(values=(1, 2), times=[{}, {"count": 3}]))
    assert report.table(axis)["after, efficiency"][1] == "0.50"
