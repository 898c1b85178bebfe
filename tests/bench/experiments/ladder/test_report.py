import io
import re

import pytest
from ladders import GROUPS, MS, dead, equivalence, finding, ladder, ladder_record, turns, without
from parts import facts, headlines, tables, tones
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
    null = facts(report.report(noisy))["null arm"]
    assert null.startswith("the baseline against a second instance of itself: 1.20× slower (95%: 1.1")
    assert "no rung that differs by less than 2" in null
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
    assert [*tables(report.report(short))] == ["one change after the other"]
    assert [*tables(made)] == ["one change after the other", "the full set, without one of its changes"]


def test_facts_are_what_a_reader_must_know(made):
    found = facts(made)
    assert found["rungs"] == "7 of toys:plain"
    assert found["settings"] == "preset tiny, seed 3"
    assert found["rounds"] == "12 rounds of 10 batches a rung, in turns, in one process; the time of 60 s was over"
    assert found["null arm"].startswith("the baseline against a second instance of itself: no measurable difference")
    assert "each rung in a process of its own" in found["costs beside time"]
    assert found["peak memory"].startswith("how far the resident set of the process grew at most in these batches")
    assert [*found][-3:] == ["machine", "versions", "commit"]
    assert found["machine"] == "2 cores of a CPU"
    assert found["commit"] == "abcdef012"


def test_facts_of_a_gpu_and_of_nothing_timed():
    gpu = {name: finding(memory=PeakMemory(of="device memory", nbytes=1)) for name in GROUPS}
    on_gpu = facts(report.report(ladder_record(findings=gpu, rounds=turns(count=10))))
    assert on_gpu["peak memory"].startswith("the most that TensorFlow's allocator handed out")
    untimed = facts(report.report(ladder_record(rounds=(), rounds_ended=None)))
    assert untimed["rounds"] == "nothing was timed"
    assert "null arm" not in untimed


def test_headlines_are_the_full_set_and_the_step_that_brings_most(made):
    full, largest = made.headlines
    assert (full.word, largest.word) == ("all changes", "largest step")
    assert re.fullmatch(r"3\.3\d× faster \(95%: 3\.\d\d to 3\.\d\d\), over the baseline", full.text)
    assert re.fullmatch(r"everything, 1\.99× faster \(95%: 1\.9\d to 2\.0\d\), over the rung before", largest.text)


def test_a_full_set_that_is_no_full_set_has_its_reason_in_the_headline():
    """And the step before it does not stand in for it."""
    wrong = {"everything": finding(equal=equivalence(False, "g_loss is 1 and 2 in batch 0"))}
    made = report.report(ladder_record(findings=wrong))
    assert headlines(made)["all changes"] == (
        "invalid: does not compute what baseline does: g_loss is 1 and 2 in batch 0"
    )
    assert tones(made)["all changes"] == "unsure"
    assert headlines(made)["largest step"].startswith("fused step, 1.82× faster (95%: 1.8")
    assert headlines(made)["largest step"].endswith(", over the rung before; not known of 1 of 4 steps")


def test_no_headline_is_of_an_invalid_step():
    """One that is the fastest, and the one after it, for which nothing is known without it."""
    made = report.report(ladder_record(rounds=turns({**MS, "fused step": 1.0}), findings=WRONG))
    assert [*headlines(made)] == ["all changes"]
    assert headlines(made)["all changes"].startswith("3.3")


def test_the_largest_step_is_none_that_costs():
    slow = {**MS, "guarded clipping": 60.0, "fused step": 70.0, "everything": 80.0}
    made = report.report(ladder_record(rounds=turns(slow)))
    assert [*headlines(made)] == ["all changes"]
    assert headlines(made)["all changes"].startswith("1.60× slower (95%: 1.")


def test_of_a_single_step_there_is_one_headline():
    groups = {"baseline": "baseline", "everything": "step"}
    findings = {name: finding() for name in groups}
    single = ladder_record().model_copy(update={"ladder": ladder(groups=groups), "findings": findings})
    assert [*headlines(report.report(single))] == ["all changes"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rounds": (), "rounds_ended": None}, "not known: baseline has no valid time"),
        ({"problems": {"baseline": ("no weight has moved",)}}, "not known: baseline has no valid time"),
        ({"stopped": {"everything": "crashed: killed by SIGSEGV"}}, "crashed: killed by SIGSEGV"),
    ],
)
def test_a_full_set_without_a_ratio_is_said_first(changes, says):
    made = report.report(ladder_record(**changes))
    assert made.headlines[0] == ("all changes", says, "unsure")


def test_what_is_no_difference_is_none_in_the_headline():
    same = dict.fromkeys(MS, 50.0)
    made = report.report(ladder_record(rounds=turns(same)))
    assert [*headlines(made)] == ["all changes"]
    assert headlines(made)["all changes"].startswith("no measurable difference (95%: 0.9")


def test_in_docs_and_in_a_terminal(made):
    text = markdown.page(made)
    assert "### One change after the other" in text
    assert "| fused step " in text
    assert text.startswith("**all changes**: 3.3")
    out = io.StringIO()
    terminal.report(Console(file=out, width=200), made)
    for part in ("One change after the other", "1.74× slower", "1.82× faster", "7 of toys:plain", "all changes: 3.3"):
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
