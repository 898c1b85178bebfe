import dataclasses

from loop_bench.experiments.survival import reasons
from loop_bench.experiments.survival.observation import Observation
from loop_bench.experiments.survival.updates import StruckUpdates

BAD = Observation(
    ended="whole",
    steps={"0:w": (1.0,)},
    first_bad_of={"weights": 11, "optimizer state": 12, "other state": 10},
    bad_weights=("0:w", "1:w"),
    bad_state=("2:adam/m", "3:sum", "4:sum"),
    optimizer_state=("2:adam/m", "5:adam/v"),
)


def changed(**changes):
    return dataclasses.replace(BAD, **changes)


def test_each_kind_of_variable_has_its_own_first_batch():
    assert reasons.bad_weights(BAD) == (
        "2 weights not finite from batch 11 on; optimizer state first at batch 12; other state first at batch 10"
    )
    alone = changed(bad_weights=("0:w",), first_bad_of={"weights": 11, "metrics": 12})
    assert reasons.bad_weights(alone) == "1 weight not finite from batch 11 on"
    assert reasons.weights_bad_at_times(changed(first_bad_of={"weights": 11, "other state": 10})) == (
        "weights intermittently not finite, from batch 11 to the end; other state first at batch 10"
    )


def test_state_is_counted_by_its_kind():
    optimizer, other = (
        "1 variable of optimizer state (first at batch 12)",
        "2 variables of other state (first at batch 10)",
    )
    assert reasons.bad_state(BAD, BAD.bad_state) == f"{optimizer} and {other} not finite"
    assert reasons.bad_state(BAD, {"4:sum"}) == "1 variable of other state (first at batch 10) not finite"


def test_a_crash_says_what_was_left():
    state = changed(bad_weights=(), bad_state=("2:adam/m",))
    assert reasons.at_a_crash(BAD) == " (with 2 weights not finite)"
    assert reasons.at_a_crash(state) == " (with 1 variable of optimizer state (first at batch 12) not finite)"
    assert reasons.at_a_crash(changed(bad_weights=(), bad_state=())) == " (with every variable finite)"
    assert reasons.at_a_crash(Observation(ended="crashed")) == ""


def test_what_was_skipped():
    assert reasons.skipped(StruckUpdates((10,), (10,), ())) == "1 update, bit for bit as before"
    assert reasons.skipped(StruckUpdates((10, 11), (10, 11), ("1:m",))) == "2 updates, but 1:m moved"
    assert reasons.skipped(StruckUpdates((10, 11), (11,), ("1:m",))) == "skipped 1 of 2 updates"


def test_of_a_large_network_only_some_names_are_told():
    names = tuple(f"{number}:m" for number in range(8))
    assert reasons.skipped(StruckUpdates((10,), (10,), names)).endswith(
        "but 0:m, 1:m, 2:m, 3:m, 4:m, 5:m and 2 more moved"
    )
    assert reasons.skipped(StruckUpdates((10,), (10,), names[:6])).endswith("4:m, 5:m moved")
