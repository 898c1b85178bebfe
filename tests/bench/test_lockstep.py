import numpy as np
import pytest
import tensorflow as tf
import toys

from bench.lockstep import lockstep, unequal
from bench.loop import lines


class Drifting(toys.Quadratic):
    """Takes each update so many times as far; a bias that it adds up would grow, had it a state of its own."""

    def __init__(self, factor):
        super().__init__()
        self._factor = factor

    def _step(self):
        before = tf.identity(self.weight)
        loss = super()._step()
        self.weight.assign(before + self._factor * (self.weight - before))
        return loss


class Drawing(toys.Quadratic):
    """Says what it has drawn; another token in one batch."""

    def __init__(self, odd=None):
        super().__init__()
        self._odd = odd

    def lines(self):
        drawn = np.arange(len(self.losses) * 6).reshape(-1, 2, 3)
        if self._odd is not None:
            drawn[self._odd, 1, 2] += 1
        return drawn


def test_the_same_loop_does_not_differ():
    found = lockstep(toys.Quadratic(), toys.Quadratic(), 4)
    assert found.metrics == found.updates == (0.0,) * 4
    assert found.other_lines is None


def test_differences_are_of_one_batch_and_do_not_grow():
    found = lockstep(toys.Quadratic(), Drifting(1.25), 6)
    assert found.updates == pytest.approx([0.25] * 6, rel=1e-3)
    assert found.metrics == pytest.approx([0.0] * 6, abs=1e-6)  # from the same state, the loss is the same


def test_metrics_are_those_of_these_batches():
    first, second = toys.Quadratic(), toys.Quadratic(seed=1)  # from another start
    for loop in (first, second):
        loop.run(3)
    assert lockstep(first, second, 2).metrics == (0.0, 0.0)


def test_a_loop_that_does_not_move_differs_by_all_of_the_update():
    assert lockstep(toys.Quadratic(), Drifting(0.0), 3).updates == pytest.approx([1.0] * 3)


def test_a_loop_that_moves_where_the_other_does_not():
    assert lockstep(Drifting(0.0), toys.Quadratic(), 2).updates == (np.inf, np.inf)


def test_not_a_number_differs_from_every_number():
    class Lost(toys.Quadratic):
        def history(self):
            return {"loss": super().history()["loss"] * np.nan}

    assert lockstep(toys.Quadratic(), Lost(), 2).metrics == (np.inf, np.inf)
    assert lockstep(Lost(), Lost(), 2).metrics == (0.0, 0.0)


def test_a_loop_without_the_variables_cannot_be_compared():
    class Renamed(toys.Quadratic):
        @property
        def variables(self):
            return [tf.Variable([0.0] * 5, name="other/weight")]

    assert lockstep(toys.Quadratic(), Renamed(), 2) is None
    assert lockstep(Renamed(), toys.Quadratic(), 2) is None


def test_states_that_differ_are_named():
    assert unequal(toys.Quadratic(), toys.Quadratic()) == []
    assert unequal(toys.Quadratic(), toys.Quadratic(seed=1)) == ["generator/weight:0"]
    other = toys.Quadratic()
    other.optimizer.learning_rate = 0.5
    assert len(unequal(toys.Quadratic(), other)) == 1


def test_draws_that_differ_are_seen():
    found = lockstep(Drawing(), Drawing(odd=1), 3)
    assert (found.other_lines, found.lines) == ((0, 1, 0), 2)
    assert found.drew_alike == (True, False, True)


def test_lines_of_a_loop_that_has_kept_none():
    assert lines(toys.Quadratic()) is None
    assert lines(Drawing()) is None
