import pandas as pd

from loop_bench.report.texts import Texts, counted

TEXTS = Texts(["line", "reads", "bytes"], [("a.py:1", "3", "12"), ("a.py:2", "1", "4")])


def test_the_cells_of_a_frame():
    assert Texts.of(pd.DataFrame([("a", 1), ("b", 2.5)], columns=["x", "y"], index=[7, 8])) == (
        ["x", "y"], [["a", "1.0"], ["b", "2.5"]],
    )  # fmt: skip


def test_without_some_columns():
    assert TEXTS.without(("reads", "none")) == (["line", "bytes"], [["a.py:1", "12"], ["a.py:2", "4"]])


def test_a_count_with_its_noun():
    assert [counted(count, "round") for count in (0, 1, 2)] == ["0 rounds", "1 round", "2 rounds"]
