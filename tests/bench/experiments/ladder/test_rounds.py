import pytest
import toys
from ladders import ladder

from loop_bench.experiments.ladder.plan import Ladder, Rung
from loop_bench.experiments.ladder.rounds import Turns
from loop_bench.settings import NULL


def of(*factories, **changes):
    """A ladder whose rungs are called as their factories."""
    groups = ["baseline", *["step"] * (len(factories) - 1)]
    rungs = tuple(
        Rung(name=name, factory=f"toys:{name}", group=group) for name, group in zip(factories, groups, strict=True)
    )
    return Ladder(**{**dict(ladder(batches=2)), "rungs": rungs, **changes})


def test_all_rungs_and_the_null_arm_are_timed_in_each_round():
    told = []
    turns = Turns(of("plain", "reading", "guarded"), {}, told.append)
    assert told == ["plain", "reading", "guarded", NULL]
    for _ in range(8):
        turns.timed.round()
    assert len(turns.turns) == 8
    assert all(sorted(done.order) == sorted(told) for done in turns.turns)
    assert all(seconds > 0 for done in turns.turns for seconds in done.seconds.values())
    assert {name: len(timer.args[0].losses) for name, timer in turns.timed.timers.items()} == dict.fromkeys(
        told, 1 + 2 + 8 * 2
    )
    assert turns.problems() == {}
    assert turns.stopped == {}


def test_a_rung_that_would_end_the_process_is_not_tried(monkeypatch):
    monkeypatch.setattr(toys, "reading", lambda spec: pytest.fail("was tried"))
    turns = Turns(of("plain", "reading", "guarded"), {"reading": "crashed: killed by SIGSEGV"})
    turns.timed.round()
    assert sorted(turns.turns[0].order) == ["guarded", NULL, "plain"]
    assert turns.stopped == {"reading": "crashed: killed by SIGSEGV"}


def test_of_a_baseline_that_would_there_is_no_second_instance(monkeypatch):
    monkeypatch.setattr(toys, "plain", lambda spec: pytest.fail("was tried"))
    turns = Turns(of("plain", "reading"), {"plain": "crashed"})
    assert [*turns.timed.timers] == ["reading"]
    assert turns.problems() == {}


def test_a_loop_that_fails_in_a_round_leaves_the_others():
    turns = Turns(of("plain", "failing"), {})  # it fails after five batches
    for _ in range(6):
        turns.timed.round()
    assert turns.stopped == {"failing": "crashed while the rungs were timed: RuntimeError: out of something"}
    # The third, in which it failed, is no round.
    assert ["failing" in done.seconds for done in turns.turns] == [True, True, False, False, False]
    assert sorted(turns.turns[-1].order) == [NULL, "plain"]


def test_a_loop_that_fails_when_it_is_built_is_stopped(monkeypatch):
    def fail(spec):
        raise MemoryError("too much")

    monkeypatch.setattr(toys, "reading", fail)
    turns = Turns(of("plain", "reading"), {})
    assert "MemoryError: too much" in turns.stopped["reading"]
    assert sorted(turns.timed.timers) == [NULL, "plain"]


def test_a_loop_that_does_no_work_is_found_out():
    turns = Turns(of("plain", "lazy", "dying"), {})
    for _ in range(2):
        turns.timed.round()
    problems = turns.problems()
    assert problems["lazy"][0] == "no weight has moved"
    assert "not finite" in problems["dying"][0]
    assert sorted(problems) == ["dying", "lazy"]


def test_less_work_than_the_baseline_is_found_out(monkeypatch):
    class Small(toys.Quadratic):
        def describe(self):
            return {"samples": 8 * len(self.losses)}

    class Large(toys.Quadratic):
        def describe(self):
            return {"samples": 16 * len(self.losses)}

    monkeypatch.setattr(toys, "plain", lambda spec: Large())
    monkeypatch.setattr(toys, "reading", lambda spec: Small())
    turns = Turns(of("plain", "reading"), {})
    turns.timed.round()
    assert turns.problems() == {"reading": ("plain trains on 16 samples a batch, reading on 8",)}
