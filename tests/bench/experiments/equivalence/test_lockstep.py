import numpy as np
import pytest
import tensorflow as tf
import toys

from loop_bench.experiments.equivalence import lockstep as steps
from loop_bench.experiments.equivalence.side import Side
from loop_bench.loop import lines


def lockstep(first, second, stretches):
    return steps.lockstep(Side(first), Side(second), stretches)


def unequal(first, second):
    return steps.unequal(Side(first), Side(second))


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
    found = lockstep(toys.Quadratic(), toys.Quadratic(), [1] * 4)
    assert found.metrics == found.updates == (0.0,) * 4
    assert found.other_lines is None


def test_differences_are_of_one_batch_and_do_not_grow():
    found = lockstep(toys.Quadratic(), Drifting(1.25), [1] * 6)
    assert found.updates == pytest.approx([0.25] * 6, rel=2e-3)
    assert found.metrics == pytest.approx([0.0] * 6, abs=1e-6)  # from the same state, the loss is the same


def test_metrics_are_those_of_these_batches():
    first, second = toys.Quadratic(), toys.Quadratic(seed=1)  # from another start
    for loop in (first, second):
        loop.run(3)
    assert lockstep(first, second, [1] * 2).metrics == (0.0, 0.0)


def test_a_loop_that_does_not_move_differs_by_all_of_the_update():
    assert lockstep(toys.Quadratic(), Drifting(0.0), [1] * 3).updates == pytest.approx([1.0] * 3, rel=1e-3)


def test_a_loop_that_moves_where_the_other_does_not():
    assert lockstep(Drifting(0.0), toys.Quadratic(), [1] * 2).updates == (np.inf, np.inf)


class Cancelling(toys.Quadratic):
    """Its bias moves by the small difference of large terms in one batch, and is off by so much in each."""

    def __init__(self, off=0.0):
        super().__init__()
        self._bias, self._off = tf.Variable(0.0, name="bias"), off

    @property
    def variables(self):
        return [self._bias]

    def run(self, batches):
        super().run(batches)
        self._bias.assign_add((1e-5 if len(self.losses) == 2 else 1.0) + self._off)


def test_an_update_that_cancels_is_compared_with_the_usual_one():
    found = lockstep(Cancelling(), Cancelling(off=1e-3), [1] * 5).updates
    assert found == pytest.approx([1e-3] * 5, rel=1e-2)  # not 100 in the second


def test_not_a_number_differs_from_every_number():
    class Lost(toys.Quadratic):
        def history(self):
            return {"loss": super().history()["loss"] * np.nan}

    assert lockstep(toys.Quadratic(), Lost(), [1] * 2).metrics == (np.inf, np.inf)
    assert lockstep(Lost(), Lost(), [1] * 2).metrics == (0.0, 0.0)


def test_a_loop_without_the_variables_cannot_be_compared():
    class Renamed(toys.Quadratic):
        @property
        def variables(self):
            return [tf.Variable([0.0] * 5, name="other/weight")]

    assert lockstep(toys.Quadratic(), Renamed(), [1] * 2) is None
    assert lockstep(Renamed(), toys.Quadratic(), [1] * 2) is None


def test_a_stretch_of_several_batches_is_one_figure():
    found = lockstep(Drawing(), Drawing(odd=3), [1, 2, 3])
    assert (found.lengths, found.batches) == ((1, 2, 3), 6)
    assert (found.other_lines, found.drew_alike, found.batches_alike) == ((0, 0, 1), (True, True, False), 3)
    assert len(found.metrics) == len(found.updates) == 3


def test_batches_of_a_stretch_are_asked_for_at_once():
    asked = []

    class Noting(toys.Quadratic):
        def run(self, batches):
            asked.append(batches)
            super().run(batches)

    lockstep(toys.Quadratic(), Noting(), [1, 2])
    assert asked == [1, 2]


def test_not_a_number_in_any_variable_is_as_far_apart_as_can_be():
    class Two(toys.Quadratic):
        def __init__(self, poison):
            super().__init__()
            self.other, self._poison = tf.Variable([1.0, 2.0], name="other"), poison

        @property
        def variables(self):
            return [*super().variables, self.other]

        def run(self, batches):
            super().run(batches)
            self.other.assign_add([0.1, np.nan if self._poison else 0.1])

    assert lockstep(Two(False), Two(True), [1] * 2).updates == (np.inf, np.inf)
    assert lockstep(Two(True), Two(True), [1]).updates == (0.0,)


def test_variables_of_one_name_are_paired_by_their_order():
    class Alike(toys.Quadratic):
        def __init__(self, factor):
            super().__init__()
            self.pair, self._factor = [tf.Variable([1.0]), tf.Variable([1.0])], factor

        @property
        def variables(self):
            return self.pair

        def run(self, batches):
            super().run(batches)
            self.pair[0].assign_add([self._factor])

    assert lockstep(Alike(1.0), Alike(2.0), [1]).updates == (1.0,)


def test_lines_of_another_shape_are_all_others():
    class Wide(Drawing):
        def lines(self):
            return super().lines()[:, :1]

    assert lockstep(Drawing(), Wide(), [1, 1]).other_lines == (2, 2)


def test_one_draw_a_batch_is_a_line():
    class Single(Drawing):
        def lines(self):
            return super().lines()[:, 1, 2]

    assert lockstep(Single(), Single(odd=1), [1, 1]).other_lines == (0, 1)


def test_states_that_differ_are_named():
    assert unequal(toys.Quadratic(), toys.Quadratic()) == []
    assert unequal(toys.Quadratic(), toys.Quadratic(seed=1)) == ["generator/weight:0"]
    other = toys.Quadratic()
    other.optimizer.learning_rate = 0.5
    assert len(unequal(toys.Quadratic(), other)) == 1


def test_draws_that_differ_are_seen():
    found = lockstep(Drawing(), Drawing(odd=1), [1] * 3)
    assert (found.other_lines, found.lines) == ((0, 1, 0), 2)
    assert found.drew_alike == (True, False, True)


def test_lines_of_a_loop_that_has_kept_none():
    assert lines(toys.Quadratic()) is None
    assert lines(Drawing()) is None
