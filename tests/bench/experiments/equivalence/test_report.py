import pytest
from agreements import agreement_record

from loop_bench.experiments.equivalence import report
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


def test_footer_names_the_options_the_tolerances_and_the_machine(record):
    notes = " ".join(report.footer(record))
    for text in (
        "50 batches by itself",
        "within 1e-05 in 90%",
        "loop before: a:b; preset tiny, seed 3; with sampler=x",
        "cores",
    ):
        assert text in notes


def test_markdown_is_a_table(record):
    text = markdown.page(report.report(record))
    assert text.startswith("| loop")
    assert "| moved" in text


def test_numbers_are_there_where_they_are_known(record):
    numbers = report.report(record).numbers.set_index(["figure", "loop"])["value"]
    assert numbers["the same"].to_dict() == {"moved": 1, "compiled": 1, "calm": 1, "silent": 1, "other": 0}
    assert numbers["updates differ by"].to_dict() == {"compiled": 4e-5, "calm": 9.0, "silent": 9.0}
    assert numbers["lines with a flipped draw"].to_dict() == {"compiled": 2, "calm": 0}
    assert numbers["lines compared", "compiled"] == 48
