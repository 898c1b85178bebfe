import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.cli.progress import ProgressDisplay, Stopwatch, TrialsDisplay


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_time_left_follows_the_work_done():
    clock = Clock()
    watch = Stopwatch(10.0, clock)
    assert watch.left() is None
    clock.now += 4.0
    watch.advance(2.0)
    assert watch.left() == pytest.approx(16.0)
    watch.advance(8.0)
    assert watch.left() == 0.0


@given(st.lists(st.floats(0.1, 5.0), max_size=20))
def test_never_more_done_than_there_is(weights):
    watch = Stopwatch(10.0, Clock())
    for weight in weights:
        watch.advance(weight)
    assert watch.done <= watch.total


def show(**console):
    out = io.StringIO()
    display = ProgressDisplay(Console(file=out, width=120, **console), total=10.0)
    for number in range(3):
        display.stage("timing", f": round {number + 1}")
        display.advance(1.0)
    display.stage("counting")
    display.pause()
    display.stage("counting")
    display.pause()
    return out.getvalue()


def test_a_pipe_gets_a_line_a_stage():
    lines = [line for line in show().splitlines() if line]
    assert lines[0] == "timing (time left unknown yet)"
    assert [line.partition(" (")[0] for line in lines] == ["timing", "counting", "counting"]


def test_a_terminal_gets_a_bar_with_the_detail():
    shown = show(force_terminal=True)
    assert "timing: round 2" in shown
    assert "left" in shown


def trials(total, **console):
    out = io.StringIO()
    with TrialsDisplay(Console(file=out, width=120, **console), total) as display:
        for number in range(total):
            display.done(f"trial {number}")
        assert display.left == 0
    return out.getvalue()


@pytest.mark.parametrize("total", [3, 10, 47])
def test_a_pipe_gets_a_line_for_each_tenth_of_the_trials(total):
    lines = trials(total).splitlines()
    assert len(lines) == min(10, total)
    assert lines[-1] == f"{total} of {total} runs: trial {total - 1}"


def test_parts_have_a_name():
    out = io.StringIO()
    with TrialsDisplay(Console(file=out, width=120), 1, "points") as display:
        display.done("batch 64")
    assert out.getvalue() == "1 of 1 points: batch 64\n"


def test_a_terminal_gets_a_bar_with_the_trial():
    assert "trial 2" in trials(3, force_terminal=True)


def test_a_part_is_told_in_shares():
    out = io.StringIO()
    display = ProgressDisplay(Console(file=out, width=120), total=10.0)
    display.advance(2.0)
    tell = display.part(4.0)
    for share, done in ((0.0, 2.0), (0.5, 4.0), (0.25, 4.0), (1.0, 6.0)):
        tell(f"at {share}", share)
        assert display.done == done
    assert "at 0.5 (" in out.getvalue()


def test_what_has_weights_of_its_own_is_scaled():
    out = io.StringIO()
    display = ProgressDisplay(Console(file=out, width=120), total=20.0)
    tell = display.weighted(scale=2.0)
    tell("looking", ": one done", 3.0)
    assert display.done == 6.0
    assert "looking (about" in out.getvalue()
