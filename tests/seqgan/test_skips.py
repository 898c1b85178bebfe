import keras
import numpy as np
import pytest

from seqgan.skips import Run, first_run, skipped_rows, stopped


@pytest.mark.parametrize(
    ("total", "before", "rows"),
    [([0, 0, 0], 0, []), ([0, 1, 1, 3], 0, [1, 3]), ([7, 7, 8], 7, [2]), ([8, 8], 7, [0]), ([], 3, [])],
)
def test_rows_in_which_the_counter_rises(total, before, rows):
    assert skipped_rows(np.array(total, np.float32), before) == rows


@pytest.mark.parametrize(
    ("skips", "run"),
    [
        ("....", None),
        (".xx.xx.", None),
        (".xxx.", Run(3, 1, 3)),
        ("x.xxxxx", Run(3, 2, 4)),
        (".xx|..x|.xx|xxx", Run(5, 2, 3)),  # several updates a batch: the run begins behind a good one
        ("xx|xx", Run(4, 0, 1)),
        (".|x||x||x|.", Run(3, 1, 5)),  # batches between in which the network is not trained
    ],
)
def test_the_run_that_reaches_the_limit(skips, run):
    """`x` is a skip and `.` a good update; `|` parts batches, which else are of one update."""
    batches = skips.split("|") if "|" in skips else list(skips)
    consecutive, total, rows = 0, 0, []
    for batch in batches:
        for update in batch:
            consecutive, total = (consecutive + 1, total + 1) if update == "x" else (0, total)
        rows.append((consecutive, total))
    assert first_run(*np.array(rows, np.float32).T, 3) == run


def test_a_run_that_began_before_the_rows():
    assert first_run(np.array([5.0, 6.0]), np.array([9.0, 10.0]), 5) == Run(5, 0, 0)


def test_the_error_says_what_the_weights_have_come_to():
    weights = [keras.Variable([1.0, 2.0], name=name) for name in "abc"]
    whole = str(stopped("generator", 4, 3, 6, weights))
    assert whole.endswith("; they left the weights of the generator as they were, and all are finite")
    weights[1].assign([np.nan, 1.0])
    weights[2].assign([np.inf, 1.0])
    message = str(stopped("generator", 4, 3, 6, weights))
    assert message.startswith("generator: 4 updates in a row were skipped, in batches 3 to 6, ")
    assert "weights are not finite (b and 1 more), which no skipped update has caused" in message
    assert "\n" not in message
