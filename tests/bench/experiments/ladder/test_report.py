import io

import pytest
from ladders import GROUPS, dead, equivalence, finding, ladder, ladder_record, turns, without
from rich.console import Console

from loop_bench.experiments.ladder import report
from loop_bench.experiments.ladder.figures import LadderFigures
from loop_bench.machine.memory import PeakMemory
from loop_bench.report import markdown, terminal

WRONG = {"fused step": finding(equal=equivalence(False, "g_loss is 1 and 2 in batch 0"))}


@pytest.fixture(scope="module")
def figures():
    """Of the usual record: the intervals of all rungs take long."""
    return LadderFigures.of(ladder_record())


def cells(column, figures):
    """A column of the steps by rung."""
    frame = report.steps(figures)
    return dict(zip(frame["rung"], frame[column], strict=True))


def of(**changes):
    return LadderFigures.of(ladder_record(**changes))


def test_a_row_for_each_step_in_order(figures):
    frame = report.steps(figures)
    assert list(frame["rung"]) == [name for name, group in GROUPS.items() if group != "left out"]
    assert list(frame.columns)[1:] == [
        "ms/batch, median (quartiles)",
        "over the rung before (95%)",
        "over the baseline (95%)",
        "host syncs a batch",
        "time to first batch, s",
        "peak memory, MiB",
        "equivalence",
    ]
    assert list(frame.iloc[0])[4:] == ["4.4", "2.5", "3.0", "what the others are compared with"]
    assert frame.iloc[0, 1].startswith("49.89 (")


def test_speed_ups_in_words(figures):
    over = cells("over the rung before (95%)", figures)
    assert over["baseline"] == ""
    assert over["deferred metrics"].startswith("no measurable difference (0.99")
    assert over["guarded clipping"].startswith("1.10× slower (1.0")
    assert over["fused step"].startswith("1.82× faster (1.8")
    assert cells("over the baseline (95%)", figures)["fused step"].startswith("1.67× faster (1.6")


def test_of_a_loop_that_computes_something_else_there_is_the_reason_and_no_speed_up():
    wrong = of(findings=WRONG)
    over = cells("over the rung before (95%)", wrong)
    assert over["fused step"] == "invalid: does not compute what baseline does: g_loss is 1 and 2 in batch 0"
    assert over["everything"] == "change not known: fused step has no valid time"
    assert cells("over the baseline (95%)", wrong)["fused step"] == "invalid"
    assert cells("equivalence", wrong)["fused step"] == "no"


def test_a_crash_is_a_row_that_says_so():
    found = {
        "findings": {"fused step": dead("crashed: killed by SIGSEGV")},
        "stopped": {"fused step": "crashed: killed by SIGSEGV"},
        "rounds": without("fused step"),
    }
    row = report.steps(LadderFigures.of(ladder_record(**found))).set_index("rung").loc["fused step"]
    assert list(row) == [
        "not measured",
        "crashed: killed by SIGSEGV",
        "invalid",
        *["not measured"] * 3,
        "not looked at",
    ]


def test_what_is_no_more_than_noise_says_so():
    noisy = ladder_record(rounds=turns(null=60.0))
    over = cells("over the rung before (95%)", LadderFigures.of(noisy))
    assert "slower" not in over["guarded clipping"]
    assert over["guarded clipping"].startswith("no measurable difference (0.90")
    assert "no rung that differs by less than 2" in " ".join(report.footer(noisy))
    assert over["fused step"].startswith("1.82× faster")


def test_a_few_rounds_have_no_interval():
    over = cells("over the rung before (95%)", of(rounds=turns(count=5)))
    assert over["fused step"].endswith("× (an interval needs 10 rounds)")


def test_equivalence_that_nobody_knows_options_for():
    assert cells("equivalence", of(findings={"fused step": finding()}))["fused step"] == (
        "not looked at: no options are known that make it the same"
    )


def test_what_leaving_out_costs(figures):
    frame = report.left_out(figures)
    assert list(frame["left out"]) == ["no fused step", "no deferred metrics"]
    costs, nothing = frame["against the full set (95%)"]
    assert costs.startswith("1.74× slower")
    assert nothing.startswith("no measurable difference")


@pytest.fixture(scope="module")
def made():
    return report.report(ladder_record())


def test_without_anything_left_out_there_is_one_table(made):
    groups = {name: group for name, group in GROUPS.items() if group != "left out"}
    short = ladder_record(rounds=turns(count=10)).model_copy(update={"ladder": ladder(groups=groups)})
    assert [title for title, _ in report.report(short).tables] == ["one change after the other"]
    assert len(made.tables) == 2


def test_the_footer_says_what_a_reader_must_know(made):
    text = "\n".join(made.notes)
    for part in (
        "7 rungs of toys:plain; preset tiny, seed 3",
        "12 rounds of 10 batches a rung, in turns, in one process; the time of 60 s was over",
        "null arm): no measurable difference",
        "peak memory: how far the resident set of the process grew at most",
        "2 cores of a CPU; TensorFlow 2.21.0",
        "commit abcdef012",
    ):
        assert part in text
    gpu = {name: finding(memory=PeakMemory(of="device memory", nbytes=1)) for name in GROUPS}
    assert "TensorFlow's allocator" in "\n".join(report.footer(ladder_record(findings=gpu, rounds=turns(count=10))))
    assert "nothing was timed" in report.footer(ladder_record(rounds=(), rounds_ended=None))


def test_in_docs_and_in_a_terminal(made):
    text = markdown.page(made)
    assert "### One change after the other" in text
    assert "| fused step " in text
    out = io.StringIO()
    terminal.report(Console(file=out, width=200), made)
    for part in ("one change after the other", "1.74× slower", "1.82× faster", "7 rungs of toys:plain"):
        assert part in out.getvalue()


def test_numbers_of_what_was_measured():
    found = ladder_record(findings={"fused step": dead()}, rounds=without("fused step"))
    numbers = report.report(found).numbers.set_index(["figure", "loop", "unit"])
    assert numbers.loc[("time a batch", "baseline", "ms"), "value"] == pytest.approx(50.0, rel=0.02)
    assert ("time a batch", "fused step", "ms") not in numbers.index
    step = numbers.loc[("speed-up over the reference", "guarded clipping", "ratio")]
    assert step["low"] < step["value"] < step["high"] < 1.0
    assert step["interval"] == "95%"
    assert numbers.loc[("peak memory", "baseline", "MiB"), "value"] == 3.0
    assert numbers.loc[("host syncs", "baseline", "a batch"), "value"] == 4.4
    assert numbers.loc[("baseline over itself", "null arm", "ratio"), "value"] == pytest.approx(1.0, rel=0.02)
