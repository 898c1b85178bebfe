import pytest
from agreements import STEPPED, agreement_record, found
from parts import facts

from loop_bench.experiments.equivalence import report
from loop_bench.experiments.equivalence.figures import problem, rounding
from loop_bench.experiments.equivalence.record import Lockstep
from loop_bench.report import markdown


@pytest.fixture
def record():
    return agreement_record()


def test_a_row_for_each_loop(record):
    frame = report.table(record).set_index("loop")
    assert list(frame["the same"]) == [
        "bit for bit",
        "up to rounding",
        "up to rounding",
        "up to rounding",
        "no: it is another one",
    ]
    compiled = frame.loc["compiled"]
    assert (compiled["metrics differ by"], compiled["updates differ by"]) == ("3e-07", "4e-05")
    assert compiled["lines with a flipped draw"] == "2 of 48"
    assert compiled["by itself"] == "other tokens from batch 7 on (line 1, token 2)"
    assert frame.loc["calm", "by itself"] == "the same tokens throughout"
    assert frame.loc["calm", "updates differ by"] == "9"
    assert frame.loc["silent", "lines with a flipped draw"] == ""
    assert set(frame.loc["moved"][1:]) == {""}


def test_facts_are_the_options_the_tolerances_and_the_machine(record):
    known = facts(report.report(record))
    assert known["before"] == "a:b"
    assert known["settings"] == "preset tiny, seed 3; with sampler=x"
    assert known["compared"].startswith("50 batches of loops that train by themselves")
    assert "metrics within 1e-05 in 90%" in known["the same"]
    assert known["machine"] == "2 cores of a CPU"
    assert [*known][-3:] == ["machine", "versions", "commit"]


def test_markdown_is_a_headline_and_a_table(record):
    text = markdown.page(report.report(record))
    assert text.startswith("**not equivalent**: 4 of 5 loops")
    assert "\n\n| loop" in text
    assert "| moved" in text
    assert "###" not in text


def headline(**found):
    (made,) = report.report(agreement_record(found=found)).headlines
    return made


MANY = Lockstep(metrics=(2e-7,) * 7, updates=(4e-5,) * 7, other_lines=(0,) * 4 + (1,) * 3, lines=200)
UNKNOWN = problem(MANY)
"""Rounding flips a draw in three stretches, and four are too few."""


def test_the_headline_counts_those_that_are_the_same():
    same, other = found(bit_for_bit=True), found(equal=False, reason="it is another one")
    unknown = found(equal=False, reason=UNKNOWN, lockstep=MANY)
    everything = "2 of 2 loops compute what the loop before computes"
    assert headline(a=same, b=same) == ("equivalent", everything, "good")
    assert headline(a=same, b=other) == (
        "not equivalent", "1 of 2 loops compute what the loop before computes; not shown of b", "bad",
    )  # fmt: skip
    assert headline(a=other, b=unknown)[::2] == ("not equivalent", "bad")
    assert headline(a=same, b=unknown) == (
        "undetermined", "1 of 2 loops compute what the loop before computes; not shown of b", "unsure",
    )  # fmt: skip


def test_the_headline_of_a_single_loop_says_how_far_it_differs():
    assert headline(after=found(bit_for_bit=True, reason="bit for bit the same over 60 batches")) == (
        "equivalent", "bit for bit the same over 60 batches", "good",
    )  # fmt: skip
    assert headline(after=found(equal=False, reason="it is another one")) == (
        "not equivalent", "the loops do not compute the same: it is another one", "bad",
    )  # fmt: skip


def test_what_is_not_known_is_no_no():
    assert UNKNOWN.startswith("undetermined: rounding flips a draw in 3 of 7 stretches")
    unknown = found(equal=False, reason=UNKNOWN, lockstep=MANY)
    assert report.sentence(unknown) == f"whether the loops compute the same is {UNKNOWN}"
    assert report.table(agreement_record(found={"after": unknown}))["the same"][0] == UNKNOWN
    assert headline(after=unknown)[::2] == ("undetermined", "unsure")


ALIKE = STEPPED.model_copy(update={"other_lines": (0, 0, 0), "metrics": (2e-7, 1e-7, 3e-7), "updates": (1e-5,) * 3})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"bit_for_bit": True, "lockstep": ALIKE, "reason": "bit for bit"}, "bit for bit"),
        ({"reason": "same"}, "same"),  # without stretches from one state
        ({"equal": False, "reason": "the histories have different lengths"},
         "the loops do not compute the same: the histories have different lengths"),
        ({"lockstep": ALIKE}, "the same up to rounding in 3 batches from equal states: metrics differ by at most 3e-07 "
         "and updates by at most 1e-05 of their size"),
        ({"lockstep": ALIKE.model_copy(update={"other_lines": None})}, "the same up to rounding in 3 batches from "
         "equal states: metrics differ by at most 3e-07 and updates by at most 1e-05 of their size"),
        ({"lockstep": STEPPED}, "the same up to rounding in 2 of 3 batches from equal states: metrics differ by at "
         "most 3e-07 and updates by at most 4e-05 of their size; in the other 1, rounding changed a draw in 2 lines"),
        ({"lockstep": STEPPED.model_copy(update={"lengths": (1, 2, 2)})}, "the same up to rounding in 3 of 5 batches "
         "from equal states: metrics differ by at most 3e-07 and updates by at most 4e-05 of their size; in the other "
         "2, rounding changed a draw in 2 lines"),
        ({"lockstep": STEPPED.model_copy(update={"other_lines": (1, 2, 1)}), "reason": "in no stretch"},
         "in no stretch"),
    ],
)  # fmt: skip
def test_whether_loops_compute_the_same_in_a_sentence(values, says):
    assert report.sentence(found(**values)) == says


def test_the_sentence_says_what_the_reason_says():
    """In fewer words, and the same figures of the same batches."""
    reason = rounding(STEPPED, None)
    said = report.sentence(found(lockstep=STEPPED, reason=reason))
    figures = ("2 of 3 batches", "metrics differ by at most 3e-07", "updates by at most 4e-05", "2 lines")
    assert all(figure in text for figure in figures for text in (said, reason))


def test_numbers_are_there_where_they_are_known(record):
    numbers = report.report(record).numbers.set_index(["figure", "loop"])["value"]
    assert numbers["the same"].to_dict() == {"moved": 1, "compiled": 1, "calm": 1, "silent": 1, "other": 0}
    assert numbers["updates differ by"].to_dict() == {"compiled": 4e-5, "calm": 9.0, "silent": 9.0}
    assert numbers["lines with a flipped draw"].to_dict() == {"compiled": 2, "calm": 0}
    assert numbers["lines compared", "compiled"] == 48
