import datetime

import pytest
from records import ENVIRONMENT

from bench.agreement import AgreementRecord
from bench.record import Equivalence, Flip, Lockstep, Settings
from bench.report import agreement


def found(**fields):
    return Equivalence(**{"batches": 50, "options": {"sampler": "x"}, "equal": True, "reason": "why", **fields})


STEPPED = Lockstep(metrics=(2e-7, 9.0, 3e-7), updates=(1e-5, 9.0, 4e-5), other_lines=(0, 2, 0), lines=16)


@pytest.fixture
def record():
    return AgreementRecord(
        created=datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC),
        environment=ENVIRONMENT,
        settings=Settings(before="a:b", after="c:d", preset="tiny", seed=3, batches=1),
        found={
            "moved": found(bit_for_bit=True),
            "compiled": found(lockstep=STEPPED, flip=Flip(batch=7, line=1, place=2, before=4, after=5)),
            "calm": found(lockstep=STEPPED.model_copy(update={"other_lines": (0, 0, 0)})),
            "silent": found(lockstep=STEPPED.model_copy(update={"other_lines": None})),
            "other": found(equal=False, reason="it is another one"),
        },
    )


def test_a_row_for_each_loop(record):
    frame = agreement.table(record).set_index("loop")
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
    notes = " ".join(agreement.footer(record))
    for text in (
        "50 batches by itself",
        "within 1e-05 in 90%",
        "loop before: a:b; preset tiny, seed 3; with sampler=x",
        "cores",
    ):
        assert text in notes


def test_markdown_is_a_table(record):
    text = agreement.markdown(record)
    assert text.startswith("| loop")
    assert "| moved" in text
