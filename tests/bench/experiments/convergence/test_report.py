import math

import numpy as np
import pytest
from convergences import DOWN, LOOPS, NEITHER, UP, convergence_record, course
from parts import facts, headlines, tables, tones

from loop_bench.experiments.convergence import report
from loop_bench.experiments.convergence import report as convergence
from loop_bench.experiments.convergence.figures import ConvergenceFigures
from loop_bench.report import markdown


def shown(*seeds, **changes):
    return convergence.report(convergence_record(seeds or (0, 1, 2), **changes))


def rows(report, title):
    return [tuple(row) for row in tables(report)[title].itertuples(index=False)]


def test_verdicts_in_words_with_differences_and_intervals():
    found = rows(shown(), "verdicts")
    assert found[0] == (
        "does annealing help? (after less after, fixed)",
        DOWN,
        "better: -1 (95%: -1 to -1)",
        "better: -0.5 (95%: -0.5 to -0.5)",
        "3 of 3 seeds, after 20 batches; the reference itself after 40",
    )
    assert found[1][1:3] == (UP, "worse: -0.1 (95%: -0.1 to -0.1)")
    assert found[1][4] == "0 of 3 seeds; the reference itself after 40"
    assert found[2][4] == "not measured"
    assert [row[2][:24] for row in found[3:]] == [
        "no measurable difference",
        "better: +0.1 (95%: +0.1 ",
        "no measurable difference",
    ]


def test_headlines_are_the_questions_and_their_answers():
    made = shown()
    assert [*headlines(made)] == ["does annealing help?", "and the rest?"]
    assert headlines(made)["does annealing help?"] == (
        "better in one respect, worse in another: "
        f"{DOWN}: better (3 seeds); {UP}: worse (3 seeds); {NEITHER}: higher (3 seeds)"
    )
    assert headlines(made)["and the rest?"].startswith(
        f"better: {DOWN}: no measurable difference (3 seeds); {UP}: better"
    )
    assert made.doubts == ()


def test_facts_are_what_must_be_known():
    found = facts(shown())
    assert found["before"] == "my.bef:make, held_out=0.1"
    assert [*found][:3] == [*LOOPS]
    assert found["settings"] == "preset tiny, seeds 0 to 2"
    assert found["evaluated"].startswith("before the first batch and after each of 4 epochs of 10 batches; ↓ is better")
    assert "Student's 95% intervals" in found["intervals"]
    assert found["mean over the curve"] == "its area over the batches"
    assert found["as good as the reference's best"].startswith("seeds that got there")
    assert [*found][-3:] == ["machine", "versions", "commit"]
    assert (found["machine"], found["commit"]) == ("2 cores of a CPU", "abcdef012")
    assert found["versions"].startswith("TensorFlow 2.21.0")
    assert facts(shown(0))["settings"] == "preset tiny, seed 0"


def test_a_verdict_that_is_another_at_the_end_says_so():
    def back(loop, seed):
        run = course(loop, seed)
        last = run.moments[-1].model_copy(update={"quality": course("after, fixed", seed).moments[-1].quality})
        return run.model_copy(update={"moments": (*run.moments[:-1], last)})

    made = shown(changed={("after", seed): back("after", seed) for seed in range(3)})
    told = f"{DOWN}: at the end no measurable difference, over the curve better (3 seeds)"
    assert told in headlines(made)["does annealing help?"]


def test_a_curve_at_a_few_moments():
    found = rows(shown(), f"over training: {DOWN}")
    assert [row[0] for row in found] == ["0", "10", "20", "30", "40"]
    assert found[-1] == ("40", "4.01 (3.985 to 4.035)", "3.01 (2.985 to 3.035)", "4.01 (3.985 to 4.035)")


def test_a_long_curve_is_thinned_and_keeps_its_ends(monkeypatch):
    monkeypatch.setattr(convergence, "_SHOWN", 3)
    assert [row[0] for row in rows(shown(), f"over training: {DOWN}")] == ["0", "20", "40"]


def test_one_seed_has_no_interval():
    report = shown(0)
    assert rows(report, f"over training: {DOWN}")[-1] == ("40", "4", "3", "4")
    assert rows(report, "verdicts")[0][2] == "too few seeds to tell: -1"
    told = headlines(report)["does annealing help?"]
    assert told.startswith("too few seeds to tell: ")
    assert told.endswith("too few seeds to tell (1 seed)")


def test_a_run_that_died_is_in_a_table_and_a_doubt():
    dead = {("after", 1): course("after", 1, ended="crashed", why="boom", moments=())}
    report = shown(changed=dead)
    assert rows(report, "unfinished runs") == [("after", "1", "crashed: boom")]
    assert report.doubts == ("doubt: unfinished runs are in no mean and no difference: 1 of 3 of after",)
    assert "unfinished runs" not in tables(shown())


def test_all_dead_there_is_no_picture_and_no_verdict():
    runs = {
        (loop, seed): course(loop, seed, ended="crashed", why="boom", moments=())
        for loop in ("before", "after", "after, fixed")
        for seed in range(3)
    }
    report = shown(changed=runs)
    assert [*tables(report)] == ["unfinished runs"]
    assert report.pictures == ()
    assert {*headlines(report).values()} == {
        "cannot be determined: no seed has complete runs of both, evaluated after the same batches"
    }
    assert tones(report) == {"does annealing help?": "unsure", "and the rest?": "unsure"}


def test_a_loop_that_always_died_leaves_its_own_question_open_alone():
    dead = {("before", seed): course("before", seed, ended="crashed", why="x", moments=()) for seed in range(3)}
    report = shown(changed=dead)
    assert headlines(report)["does annealing help?"].startswith("better in one respect")
    assert headlines(report)["and the rest?"].startswith("cannot be determined: ")
    assert tones(report) == {"does annealing help?": "plain", "and the rest?": "unsure"}


def test_another_start_is_a_doubt():
    doubts = shown(changed={("after", 1): course("after", 1, start="other")}).doubts
    assert any(doubt.startswith("doubt: not all loops of a seed began with the same weights") for doubt in doubts)


def test_numbers_have_whole_curves_and_differences():
    numbers = shown().numbers
    assert list(numbers.columns) == ["figure", "loop", "unit", "value", "low", "high", "interval"]
    found = {(row.figure, row.loop): row for row in numbers.itertuples()}
    assert len(found) == len(numbers)
    end = found[f"{DOWN}, after 40 batches", "after"]
    assert (end.unit, end.interval) == ("nats a token", "95%")
    assert (end.value, end.low) == (pytest.approx(3.01), pytest.approx(2.985, abs=1e-3))
    assert found[f"{DOWN}, mean over the curve, less that of after, fixed", "after"].value == pytest.approx(-0.5)
    assert found["temperature after 40 batches", "after"].value == pytest.approx(1.6)
    seconds = found["training, seed 2", "before"]
    assert (seconds.value, seconds.unit, seconds.interval) == (2.0, "s", "")
    assert math.isnan(seconds.low)
    assert len([row for row in numbers.itertuples() if row.figure.startswith(DOWN)]) == 5 * 3 + 2 * 2


def test_markdown_has_all_of_it():
    text = markdown.page(shown())
    for told in ("### Verdicts", f"### Over training: {DOWN}", "| does annealing help?", "preset tiny, seeds 0 to 2"):
        assert told in text


def drawn(*seeds, **changes):
    record = convergence_record(seeds or (0, 1, 2), **changes)
    return report.draw(ConvergenceFigures.of(record), list(record.plan.loops))


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
    assert [report._every(21, place) for place in range(4)] == [(0, 3), (1, 3), (2, 3), (0, 3)]
    assert report._every(5, 2) == (0, 1)


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
