import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loop_bench.cli.progress import Forecast, ProgressDisplay, TrialsDisplay


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_time_left_is_what_the_pieces_are_expected_to_take():
    clock, expected = Clock(), [10.0, 20.0]
    forecast = Forecast([lambda: expected[0], lambda: expected[1]], clock)
    forecast.begin()
    assert forecast.left() == 30.0
    clock.now += 4.0
    assert forecast.left() == 26.0
    expected[1] = 50.0  # as the first piece has shown
    assert forecast.left() == 56.0
    assert forecast.after() == 50.0
    clock.now += 100.0  # longer than expected: no less than what follows
    assert forecast.left() == 50.0
    forecast.begin()
    assert (forecast.left(), forecast.after()) == (50.0, 0.0)


def test_a_part_of_a_piece_says_how_long_the_rest_takes():
    clock = Clock()
    forecast = Forecast([lambda: 10.0], clock)
    forecast.begin()
    clock.now += 20.0
    forecast.reach(0.5)
    assert forecast.left() == pytest.approx(20.0)
    forecast.reach(0.25)  # never back
    assert forecast.left() == pytest.approx(20.0)
    forecast.reach(1.0)
    assert forecast.left() == 0.0


def test_an_unknown_duration_is_not_forecast_until_a_part_is_done():
    clock = Clock()
    forecast = Forecast([lambda: None], clock)
    forecast.begin()
    assert forecast.left() is None
    clock.now += 4.0
    forecast.reach(0.2)
    assert forecast.left() == pytest.approx(16.0)
    assert forecast.done() == pytest.approx(0.2)


@given(st.lists(st.tuples(st.floats(0.1, 50.0), st.floats(0.1, 50.0)), min_size=1, max_size=5))
def test_the_end_is_never_behind(pieces):
    clock = Clock()
    forecast = Forecast([lambda expected=expected: expected for expected, _ in pieces], clock)
    for number, (_, takes) in enumerate(pieces):
        forecast.begin()
        for part in range(4):
            clock.now += takes / 4
            forecast.reach((part + 1) / 4)
            assert forecast.left() >= forecast.after() == pytest.approx(sum(e for e, _ in pieces[number + 1 :]))
            assert 0 <= forecast.done() <= 1


def show(**console):
    out = io.StringIO()
    display = ProgressDisplay(Console(file=out, width=120, **console))
    tell = display.weighted(10.0)
    for number in range(3):
        tell("timing", f": round {number + 1}", float(number > 0))
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


def test_weighted_stages_are_shown_as_shares():
    out, clock = io.StringIO(), Clock()
    forecast = Forecast([lambda: 8.0, lambda: 5.0], clock)
    display = ProgressDisplay(Console(file=out, width=120), forecast)
    forecast.begin()
    tell = display.weighted(total=4.0)
    clock.now += 3.0
    tell("looking", ": one done", 2.0)
    assert out.getvalue() == "\nlooking (about 0:08 left)\n"
    tell("looking", ": two done", 0.0)
    clock.now += 3.0
    tell("at the end", "", 2.0)
    assert out.getvalue().endswith("at the end (about 0:05 left)\n")
