import io

import pytest
from rich.console import Console

from loop_bench.seqgan.display import TrainingDisplay, describe


@pytest.mark.parametrize(("accuracy", "marked"), [(0.70, False), (0.71, True), (0.3, False)])
def test_strong_discriminator_is_marked(accuracy, marked):
    assert ("🎯" in describe({"d_accuracy": accuracy})) is marked


def test_metrics_have_units_and_an_order():
    text = describe({"ms_per_batch": 1.25, "d_accuracy": 0.9, "temperature": 2.0, "g_loss": 0.5})
    assert text == "T 2.00, g loss 0.500, d accuracy 90% 🎯, 1.2 ms/batch"


def test_a_pipe_gets_a_line_an_epoch_and_nothing_else():
    out = io.StringIO()
    with TrainingDisplay(Console(file=out, width=40)) as display:
        for epoch in range(2):
            display.epoch_begins("mle", epoch, 2, 5)
            display.advance(5, {})
            display.epoch_ends({"mle_loss": 4.0})
    assert out.getvalue() == "mle 1/2: mle loss 4.000\nmle 2/2: mle loss 4.000\n"


def test_a_terminal_gets_a_bar():
    out = io.StringIO()
    with TrainingDisplay(Console(file=out, width=160, force_terminal=True)) as display:
        display.epoch_begins("adversarial", 0, 2, 5)
        display.advance(5, {"temperature": 2.0, "ms_per_batch": 3.0})
    assert "5/10" in out.getvalue()
    assert "T 2.00, 3.0 ms/batch" in out.getvalue()
