import copy
import dataclasses
import math
import typing

import numpy as np
import pytest
import tensorflow as tf
import toys
from hypothesis import given, settings
from hypothesis import strategies as st

from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival import outcome as outcomes
from loop_bench.experiments.survival.clean_run import SMOOTHED, CleanRun
from loop_bench.experiments.survival.kinds import KINDS
from loop_bench.experiments.survival.observation import PATIENCE, WATCHED, Observation, horizon
from loop_bench.experiments.survival.outcome import (
    DIVERGED_ABOVE,
    FROZEN_BELOW,
    LEAST_REACH,
    PACE_BACK,
)
from loop_bench.experiments.survival.record import ALIVE, Outcome
from loop_bench.experiments.survival.watching import observe
from loop_bench.loop import LoopSpec

ORDER = typing.get_args(Outcome)
SPEC = LoopSpec("tiny")


def judge(seen, clean, fault, seed=0):
    return outcomes.judge(seen, CleanRun(clean), fault, seed)


class Repaired(toys.Quadratic):
    """Repairs the weights after every batch, and forgets the moments."""

    def run(self, batches):
        for _ in range(batches):
            super().run(1)
            self.weight.assign(tf.where(tf.math.is_finite(self.weight), self.weight, 1.0))


class Remembers(toys.Guarded):
    """A running mean of what its gradient was never forgets a NaN that the guard keeps from the weights."""

    def _step(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.weight - 3.0) ** 2)
        (gradient,) = tape.gradient(loss, [self.weight])
        finite = tf.reduce_all(tf.math.is_finite(gradient))
        if finite:
            self.optimizer.apply([gradient], [self.weight])
        return tf.where(finite, loss, tf.reduce_sum(gradient))

    def history(self):
        return {"mean": np.cumsum([float(loss) for loss in self.losses])}


class Careful(toys.Gathering):
    """Gathers only what is finite, and updates when it has gathered four."""

    _step = toys.Guarded._step


class Blind(toys.Descending):
    """Says nothing of how it does."""

    def history(self):
        return {"accuracy": np.arange(len(self.losses)) % 2}


class Arrived(toys.Guarded):
    """At its optimum from the beginning."""

    def __init__(self):
        super().__init__()
        self.weight.assign(np.full(4, 3.0, np.float32))


class Broken(toys.Quadratic):
    def __init__(self):
        super().__init__()
        self.weight.assign(np.full(4, np.nan, np.float32))


class Best(toys.Guarded):
    """Has state that becomes infinite, and rightly so."""

    def __init__(self):
        super().__init__()
        self.best = tf.Variable(0.0, trainable=False, name="best_of_an_epoch_not_over_yet")

    def run(self, batches):
        super().run(batches)
        self.best.assign(np.inf)

    @property
    def variables(self):
        return [*super().variables, self.best]


LOOPS = {
    "plain": toys.Quadratic,
    "guarded": toys.Guarded,
    "counting": toys.Counting,
    "gathering": toys.Gathering,
    "careful": Careful,
    "descending": toys.Descending,
    "checked": toys.Checked,
    "repaired": Repaired,
    "remembers": Remembers,
    "blind": Blind,
    "arrived": Arrived,
    "broken": Broken,
    "best": Best,
}
_clean = {}


def clean_run(name):
    if name not in _clean:
        batches = PATIENCE + horizon(Fault("nan"))
        _clean[name] = observe("toys:it", lambda spec: LOOPS[name](), SPEC, None, batches)
    return _clean[name]


def outcome(name, text):
    fault = Fault.parse(text)
    seen = observe("toys:it", lambda spec: LOOPS[name](), SPEC, fault, horizon(fault))
    return judge(seen, clean_run(name), fault, seed=3)


REACHED = [
    ("guarded", "nan", "skipped", "1 update, bit for bit as before; the weights move "),
    ("counting", "nan", "skipped", "1 update, but 1:adam"),
    ("guarded", "scale=1e8", "survived", "the weights move "),
    ("plain", "scale=1", "survived", "the weights move 100% as far as without the fault, back after 0 batches"),
    ("plain", "scale=1e4", "frozen", "finite, but the weights move only "),
    ("descending", "scale=1e4", "diverged", "loss is "),
    (
        "repaired",
        "nan",
        "poisoned state",
        "2 variables of optimizer state (first at batch 10) not finite, with finite weights",
    ),
    ("remembers", "nan", "poisoned state", "mean not finite, with finite weights"),
    ("plain", "nan", "poisoned weights", "1 weight not finite from batch 10 on; optimizer state first at batch 10"),
    ("checked", "nan", "crashed", "ArithmeticError: loss is NaN (with 1 weight not finite)"),
    ("plain", "nan,target=encoder", "not tested", "no gradient of a variable with"),
]
# Of these the rules are in the constructed series below, too.
RARER = [
    ("guarded", "inf", "skipped", "1 update, bit for bit as before; the weights move "),
    ("best", "nan", "skipped", "1 update, bit for bit as before; the weights move "),
    ("careful", "nan,batch=11", "skipped", "1 update, bit for bit as before; the weights move "),
    ("careful", "nan", "skipped", "1 update, but 1:adam_"),  # which it makes a batch later
    ("gathering", "scale=2", "survived", "the weights move "),
    ("gathering", "scale=1", "survived", "the weights move 100% as far as without the fault, back after 0 batches"),
    ("plain", "scale=1e8", "frozen", "finite, but the weights move only "),
    ("plain", "scale=1e18", "frozen", "finite, but the weights move only "),
    ("blind", "scale=1e4", "diverged", "the weights move "),
    ("plain", "inf", "poisoned weights", "1 weight not finite from batch 10 on"),
    ("guarded", "nan,in=weights", "poisoned weights", "1 weight not finite from batch 10 on"),
    ("arrived", "nan", "not tested", "the weights that the fault hits do not move without it either"),
    ("broken", "nan", "not tested", "loss is not finite without any fault"),
]


@pytest.mark.parametrize(
    ("name", "text", "right", "reason"), [*REACHED, *(pytest.param(*case, marks=pytest.mark.slow) for case in RARER)]
)
def test_each_outcome_is_reached_by_a_loop_that_has_it(name, text, right, reason):
    found = outcome(name, text)
    assert found.outcome == right
    assert found.reason.startswith(reason)
    assert (Fault.parse(found.fault), found.seed) == (Fault.parse(text), 3)
    if right == "not tested":
        assert (found.weights_finite, found.state_finite) == (None, None)
    else:
        assert found.struck == 1
        assert found.batches == (10 if right == "crashed" else horizon(Fault.parse(text)))
        assert found.weights_finite == (right not in ("poisoned weights", "crashed"))
        assert found.skipped == (right == "skipped" or name == "remembers")
    if right in ALIVE:
        assert found.movement > 0.2
        assert found.worst < 3
        assert bool(found.moved_in_skips) == (", but " in reason)
    if right == "frozen":
        assert found.movement < 0.05
        assert found.state_finite
        assert math.isfinite(found.worst)


def test_every_outcome_is_among_those_that_are_reached():
    timed_out = Observation(ended="timed out", why="took longer than 3 s and was ended")
    found = judge(timed_out, clean_run("plain"), Fault("nan"))
    assert (found.outcome, found.reason) == ("timed out", "took longer than 3 s and was ended")
    assert (found.weights_finite, found.state_finite) == (None, None)
    several = "replicas differ"  # of loops that have several: tests/distributed_cases.py
    assert {right for _, _, right, _ in REACHED} | {found.outcome, several} == set(ORDER)


def test_a_process_that_died_has_no_finite_weights():
    found = judge(Observation(ended="crashed", why="killed by SIGSEGV"), clean_run("plain"), Fault("nan"))
    assert (found.outcome, found.reason) == ("crashed", "killed by SIGSEGV")
    assert (found.weights_finite, found.state_finite) == (None, None)


def test_a_crash_says_what_was_left_and_skipped():
    seen = observed(ended="crashed", why="too many", struck=(10, 11), steps=left_out(10, 11)[:12], bad_state=("1:m",))
    found = judge(dataclasses.replace(seen, first_bad_of={"other state": 9}), CLEAN, Fault("nan", batches=2))
    assert found.reason == "too many (with 1 variable of other state (first at batch 9) not finite)"
    assert (found.outcome, found.updates, found.skipped) == ("crashed", 2, 2)
    assert (found.first_bad, found.first_bad_of) == (9, {"other state": 9})


# Constructed series: 81 batches, the fault in the 11th.

BATCHES, STRUCK = horizon(Fault("nan")), 10


def observed(loss=None, steps=None, **more):
    """Observations of a loop that goes from 8 to 0 and moves its weight by 1 in every batch."""
    loss = RAMP if loss is None else loss
    steps = np.ones(len(loss)) if steps is None else steps
    steps = steps if isinstance(steps, dict) else {"0:w": tuple(steps)}
    fields = {"ended": "whole", "metrics": {"loss": tuple(loss)}, "steps": steps, "struck": (STRUCK,)}
    return Observation(**{**fields, **more})


def left_out(*batches):
    """Steps of 1 but in these batches."""
    steps = np.ones(BATCHES)
    steps[[*batches]] = 0.0
    return steps


RAMP = np.linspace(8, 0, BATCHES)
NEAR_BY_REACH = 0.05 * 8  # its noise is 0.1 a batch, of which twice is less
ZIGZAG = RAMP + np.arange(BATCHES) % 2 * 2.0
NEAR_BY_NOISE = 2 * 2 / (math.sqrt(2) * 0.6745)  # it reaches over 9.9, of which 5% is less
CLEAN = observed(struck=())


def after(series, offset, batches=BATCHES, from_=STRUCK + 1):
    found = np.array(series)
    found[from_ : from_ + batches] += offset
    return found


def test_nothing_differs_and_it_is_back_at_once():
    found = judge(observed(), CLEAN, Fault("nan"))
    assert (found.outcome, found.recovery, found.movement) == ("survived", 0, 1.0)


@pytest.mark.parametrize(("series", "near"), [(RAMP, NEAR_BY_REACH), (ZIGZAG, NEAR_BY_NOISE)], ids=["reach", "noise"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_back_is_within_the_stated_distance(series, near, sign):
    clean = observed(series, struck=())
    for share, right in ((0.0, 0), (0.99, 0), (1.01, None)):
        fault = observed(after(series, sign * share * near))
        assert judge(fault, clean, Fault("nan")).recovery == right


@pytest.mark.parametrize("batches", [1, 2, 20, 69])
def test_back_after_as_many_batches_as_it_was_away(batches):
    # So near the distance that the mean is inside with the first value that is.
    found = judge(observed(after(RAMP, 1.01 * NEAR_BY_REACH, batches)), CLEAN, Fault("nan"))
    assert found.recovery == batches
    assert f"back after {batches} batches" in found.reason


def test_back_is_a_mean_over_ten_batches():
    found = judge(observed(after(RAMP, 1000.0, 3)), CLEAN, Fault("nan"))
    assert found.recovery == 3 + 9
    assert judge(observed(after(RAMP, 9 * NEAR_BY_REACH, 1, 40)), CLEAN, Fault("nan")).recovery == 0
    assert judge(observed(after(RAMP, 11 * NEAR_BY_REACH, 1, 40)), CLEAN, Fault("nan")).recovery == 40 - 11 + 10


def test_back_means_that_it_stays():
    away_again = after(after(RAMP, 4.0, 5), 4.0, 3, 50)
    assert judge(observed(away_again), CLEAN, Fault("nan")).recovery > 50 - STRUCK
    assert judge(observed(after(RAMP, 7.0, 1, BATCHES - 1)), CLEAN, Fault("nan")).recovery is None


def test_a_value_that_is_none_is_not_back():
    for value in (math.nan, math.inf):
        found = judge(observed(after(RAMP, value, 2)), CLEAN, Fault("nan"))
        assert found.recovery == 2 + 9
        assert found.outcome == "survived"


def test_recovery_is_counted_from_the_last_strike_and_of_the_slowest_metric():
    slow = after(RAMP, 1.01 * NEAR_BY_REACH, 30)
    metrics = {"quick": tuple(RAMP), "slow": tuple(slow), "new": (1.0,) * BATCHES}
    clean = observed(struck=(), metrics={"quick": tuple(RAMP), "slow": tuple(RAMP)})
    assert judge(observed(metrics=metrics), clean, Fault("nan")).recovery == 30
    assert judge(observed(metrics=metrics, struck=(10, 20)), clean, Fault("nan", batches=11)).recovery == 20


@pytest.mark.parametrize("batches", [1, 5, 20, 40])
def test_back_is_when_the_weights_move_again(batches):
    still = after(np.ones(BATCHES), -1.0, batches)
    found = judge(observed(steps=still), CLEAN, Fault("nan"))
    assert found.outcome == "survived"
    # The mean counts what it has of those before: half of them, up to half of ten.
    assert found.recovery == batches + min(batches, math.ceil(SMOOTHED * PACE_BACK)) - 1
    assert found.reason.endswith(f", back after {found.recovery} batches")


@pytest.mark.parametrize(("share", "right"), [(0.99, None), (1.01, 0)])
def test_back_is_a_pace_of_a_stated_share(share, right):
    slow = after(np.ones(BATCHES), share * PACE_BACK - 1)
    found = judge(observed(steps=slow), CLEAN, Fault("nan"))
    assert (found.outcome, found.recovery) == ("survived", right)
    assert found.reason.endswith(", not back yet") == (right is None)


def test_back_means_that_the_weights_go_on_moving():
    paused = after(np.ones(BATCHES), -1.0, 20, 40)
    assert judge(observed(steps=paused), CLEAN, Fault("nan")).recovery == 60 - (STRUCK + 1) + 4
    assert judge(observed(steps=after(np.ones(BATCHES), -1.0, 4, 40)), CLEAN, Fault("nan")).recovery == 0


def test_back_is_a_pace_of_the_weights_that_are_hit():
    usual, still = (1.0,) * BATCHES, tuple(after(np.ones(BATCHES), -1.0, 20))
    clean = observed(struck=(), steps={"0:g": usual, "1:d": usual})
    seen = observed(steps={"0:g": usual, "1:d": still})
    assert judge(seen, clean, Fault("nan", target="g")).recovery == 0
    assert judge(seen, clean, Fault("nan", target="d")).recovery == 24


def test_back_is_the_pace_of_the_clean_run_in_the_same_batches():
    """That slows down itself, or trains its network once in a while."""
    for steps in (np.geomspace(1, 1e-3, BATCHES), np.arange(BATCHES) % 8 == 0, np.arange(BATCHES) < 5):
        steps = steps + 0.0
        steps[-1] = 1e-3
        assert judge(observed(steps=steps), observed(struck=(), steps=steps), Fault("nan")).recovery == 0


def test_without_metrics_the_weights_tell_the_outcome_and_nothing_when_it_was_back():
    short = {"loss": tuple(RAMP[: STRUCK + 1])}
    for metrics in ({}, {"loss": ()}, short):
        found = judge(observed(metrics=metrics), observed(struck=(), metrics=metrics), Fault("nan"))
        assert (found.outcome, found.recovery) == ("survived", None)
    longer = observed(struck=(), metrics={**short, "reward": tuple(RAMP)})
    assert judge(dataclasses.replace(longer, struck=(STRUCK,)), longer, Fault("nan")).recovery == 0


@pytest.mark.parametrize(
    "worse",
    [
        {"bad_weights": ("w",)},
        {"bad_state": ("m",)},
        {"loss": after(RAMP, 8.1, from_=BATCHES - WATCHED)},
        {"steps": after(np.ones(BATCHES), -1.0, from_=BATCHES - WATCHED)},
        {"first_apart": BATCHES - 1, "apart": ("0:w",)},
        {"ended": "crashed"},
        {"ended": "timed out"},
        {"ended": "not tested"},
        {"struck": ()},
    ],
    ids=str,
)
def test_only_what_lives_is_ever_back(worse):
    found = judge(observed(**worse), CLEAN, Fault("nan"))
    assert found.outcome not in ALIVE
    assert found.recovery is None
    assert "back" not in found.reason


def test_a_loop_that_leaves_out_the_value_of_a_skipped_batch_is_judged():
    seen = observed(np.delete(RAMP, STRUCK), steps=left_out(STRUCK))
    found = judge(seen, CLEAN, Fault("nan"))
    assert found.outcome == "skipped"
    assert found.recovery == 0
    assert found.reason == (
        "1 update, bit for bit as before; the weights move 100% as far as without the fault, back after 0 batches"
    )


@pytest.mark.parametrize(
    ("share", "right"),
    [
        (0.0, "frozen"),
        (FROZEN_BELOW * 0.99, "frozen"),
        (FROZEN_BELOW * 1.01, "survived"),
        (DIVERGED_ABOVE * 0.99, "survived"),
        (DIVERGED_ABOVE * 1.01, "diverged"),
    ],
)
def test_how_far_the_weights_move_decides(share, right):
    steps = np.ones(BATCHES)
    steps[-WATCHED:] = share
    found = judge(observed(steps=steps), CLEAN, Fault("nan"))
    assert found.outcome == right
    assert found.movement == pytest.approx(share)


def test_movement_is_that_of_the_attacked_weights_and_their_median():
    usual, still, slow = (1.0,) * BATCHES, (0.0,) * BATCHES, (0.9,) * BATCHES
    clean = observed(struck=(), steps={"0:g/a": usual, "1:g/b": usual, "2:g/c": usual, "3:d/a": usual, "4:g/e": still})
    steps = {"0:g/a": usual, "1:g/b": slow, "2:g/c": still, "3:d/a": still, "4:g/e": still}
    assert judge(observed(steps=steps), clean, Fault("nan", target="g/")).movement == pytest.approx(0.9)
    found = judge(observed(steps=steps), clean, Fault("nan", target="d/"))
    assert (found.movement, found.outcome) == (0.0, "frozen")
    found = judge(observed(steps=steps), clean, Fault("nan", target="g/e"))
    assert found.outcome == "not tested"


@pytest.mark.parametrize(("offset", "right"), [(7.9, "survived"), (8.1, "diverged"), (-8.1, "diverged")])
def test_a_metric_beyond_all_that_it_reaches_has_diverged(offset, right):
    found = judge(observed(after(RAMP, offset)), CLEAN, Fault("nan"))
    assert found.outcome == right
    assert found.recovery is None


@pytest.mark.parametrize("level", [5.0, -5.0, 1e-9])
@pytest.mark.parametrize(("share", "right"), [(0.99, "survived"), (1.01, "diverged"), (-1.01, "diverged")])
def test_a_metric_that_never_moves_may_differ_by_a_little(share, right, level):
    flat = np.full(BATCHES, level)
    found = judge(observed(after(flat, share * LEAST_REACH * level)), observed(flat, struck=()), Fault("nan"))
    assert found.outcome == right


@pytest.mark.parametrize(
    ("skipped", "right", "begins"),
    [
        ((), "survived", "the weights move 100%"),
        ((11,), "survived", "skipped 1 of 2 updates; the weights move 100%"),
        ((10, 11), "skipped", "2 updates, bit for bit as before; the weights move 100%"),
    ],
)
def test_skipped_is_every_update_that_the_fault_was_in(skipped, right, begins):
    found = judge(observed(struck=(10, 11), steps=left_out(*skipped)), CLEAN, Fault("nan", batches=2))
    assert (found.outcome, found.updates, found.skipped) == (right, 2, len(skipped))
    assert found.reason.startswith(begins)


FOURTH = (np.arange(BATCHES) % 4 == 3) + 0.0


@pytest.mark.parametrize("batch", [8, 9, 10, 11])
def test_one_outcome_whichever_of_the_batches_of_an_update_was_hit(batch):
    seen = observed(steps=FOURTH * left_out(11), struck=(batch,), moved={"1:sum": tuple(range(BATCHES))})
    found = judge(seen, observed(steps=FOURTH, struck=()), Fault("nan", batch=batch))
    assert (found.outcome, found.struck, found.updates, found.skipped) == ("skipped", 1, 1, 1)
    assert (found.moved_in_skips, found.recovery) == (("1:sum",), 0)
    assert (
        found.reason
        == "1 update, but 1:sum moved; the weights move 100% as far as without the fault, back after 0 batches"
    )


def test_strikes_in_one_update_are_one():
    seen = observed(steps=FOURTH * left_out(11), struck=(9, 10, 11, 12))
    found = judge(seen, observed(steps=FOURTH, struck=()), Fault("nan", batch=9, batches=4))
    assert (found.outcome, found.struck, found.updates, found.skipped) == ("survived", 4, 2, 1)
    assert found.reason.startswith("skipped 1 of 2 updates; ")


def test_recovery_is_counted_from_the_update_that_the_fault_was_in():
    clean = observed(steps=FOURTH, struck=())
    away = observed(after(RAMP, 1.01 * NEAR_BY_REACH, 9), steps=FOURTH, struck=(8,))
    assert judge(away, clean, Fault("nan", batch=8)).recovery == 8  # from batch 11 on, and not from batch 8
    late = np.arange(BATCHES) == BATCHES - 1
    assert judge(observed(steps=late), observed(steps=late, struck=()), Fault("nan")).recovery == 0


def test_what_moved_in_a_skip_is_named():
    moved = {"1:adam/iteration": (0, STRUCK), "2:m": (5, STRUCK), "3:guard": (STRUCK,)}
    found = judge(observed(steps=left_out(STRUCK), moved=moved), CLEAN, Fault("nan"))
    assert found.reason.startswith("1 update, but 1:adam/iteration, 2:m moved; the weights move ")
    assert found.moved_in_skips == ("1:adam/iteration", "2:m")


def test_a_loop_in_which_nothing_moves_any_more_is_frozen_and_has_skipped_nothing():
    steps = np.r_[np.ones(STRUCK), np.zeros(BATCHES - STRUCK)]
    found = judge(observed(steps=steps), CLEAN, Fault("nan"))
    assert (found.outcome, found.updates, found.skipped) == ("frozen", 1, 0)


def test_weights_that_are_no_number_now_and_again_are_poisoned():
    steps = np.ones(BATCHES)
    steps[-3] = math.nan
    found = judge(observed(steps=steps, first_bad_of={"weights": 12, "other state": 10}), CLEAN, Fault("nan"))
    assert found.outcome == "poisoned weights"
    assert found.reason == (
        "weights intermittently not finite, from batch 12 to the end; other state first at batch 10"
    )


def test_a_weight_that_is_never_finite_is_no_work_of_the_fault():
    """Such as a mask of minus infinities, which somebody has made trainable."""
    steps = {"0:w": (1.0,) * BATCHES, "1:mask": (math.nan,) * BATCHES}
    found = judge(observed(steps=steps), observed(steps=steps, struck=()), Fault("nan"))
    assert (found.outcome, found.movement, found.recovery) == ("survived", 1.0, 0)


def test_state_that_is_not_finite_without_the_fault_either_is_not_its_work():
    clean = observed(struck=(), bad_state=("best",))
    assert judge(observed(bad_state=("best",)), clean, Fault("nan")).outcome == "survived"
    assert judge(observed(bad_state=("best", "m")), clean, Fault("nan")).outcome == "poisoned state"


@pytest.mark.parametrize(
    ("clean", "reason"),
    [
        (observed(ended="crashed", why="E: x"), "it does not complete without a fault: E: x"),
        (observed(bad_weights=("w",)), "w is not finite without any fault"),
        (observed(after(RAMP, math.nan, 1)), "loss is not finite without any fault"),
        (observed(RAMP[:-1]), f"the run without the fault has {BATCHES - 1} batches, not {BATCHES}"),
    ],
    ids=["crashed", "poisoned", "loss", "short"],
)
def test_without_a_sound_run_to_compare_with_nothing_is_said(clean, reason):
    found = judge(observed(), clean, Fault("nan"))
    assert (found.outcome, found.reason) == ("not tested", reason)


def test_a_run_that_the_fault_was_not_in_tells_nothing():
    assert judge(CLEAN, CLEAN, Fault("nan")).outcome == "not tested"


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)
series = st.lists(numbers, min_size=BATCHES, max_size=BATCHES).map(tuple)
finite_series = st.lists(st.floats(-1e6, 1e6), min_size=BATCHES, max_size=BATCHES).map(tuple)
observations = st.builds(
    Observation,
    ended=st.just("whole"),
    metrics=st.fixed_dictionaries({"loss": series | finite_series | st.just(tuple(RAMP))}),
    steps=st.fixed_dictionaries({"0:w": finite_series | st.just((1.0,) * BATCHES)}),
    struck=st.just((STRUCK,)),
    bad_weights=st.sampled_from([(), ("0:w",)]),
    bad_state=st.sampled_from([(), ("1:m",)]),
    first_bad_of=st.dictionaries(st.sampled_from(KINDS), st.integers(STRUCK, BATCHES)),
)


@settings(deadline=None, max_examples=50)
@given(observations)
def test_worse_is_never_hidden(seen):
    found = judge(seen, CLEAN, Fault("nan"))
    worst = [name for name, bad in (("poisoned weights", seen.bad_weights), ("poisoned state", seen.bad_state)) if bad]
    for least in worst:
        assert ORDER.index(found.outcome) >= ORDER.index(least)
    if not np.isfinite(seen.metrics["loss"][-WATCHED:]).all():
        assert ORDER.index(found.outcome) >= ORDER.index("poisoned state")
    if found.outcome in ALIVE:
        assert found.weights_finite
        assert found.state_finite
        assert FROZEN_BELOW <= found.movement <= DIVERGED_ABOVE
    else:
        assert found.recovery is None


@settings(deadline=None, max_examples=50)
@given(observations)
def test_the_same_observation_has_the_same_outcome(seen):
    kept = copy.deepcopy(seen)
    once, again = (judge(seen, CLEAN, Fault("nan"), seed=1) for _ in range(2))
    assert once.model_dump_json() == again.model_dump_json()
    np.testing.assert_equal(dataclasses.asdict(seen), dataclasses.asdict(kept))


paces = st.lists(st.floats(0, 1e6), min_size=BATCHES, max_size=BATCHES).filter(lambda each: any(each[-WATCHED:]))


@settings(deadline=None, max_examples=20)  # each draws 162 numbers
@given(finite_series, paces)
def test_the_same_series_is_back_at_once(values, steps):
    clean = observed(values, steps=steps, struck=())
    assert judge(observed(values, steps=steps), clean, Fault("nan")).recovery == 0
