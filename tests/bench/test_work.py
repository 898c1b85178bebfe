import numpy as np
import toys

from bench import work


def test_a_loop_that_trained_has_no_problems():
    loop = toys.Quadratic()
    before = work.weights(loop)
    loop.run(5)
    assert work.problems(loop, 5, before) == []


def test_only_weights_are_looked_at():
    assert list(work.weights(toys.Quadratic())) == ["0:generator/weight:0"]


def test_unequal_work_is_named():
    loop = toys.Quadratic()
    before = work.weights(loop)
    loop.run(4)
    assert work.problems(loop, 5, before) == ["history 'loss' has 4 values for 5 batches"]


def test_a_history_without_metrics_is_named():
    class Silent(toys.Quadratic):
        def history(self):
            return {}

    loop = Silent()
    before = work.weights(loop)
    loop.run(1)
    assert work.problems(loop, 1, before) == ["the history is empty"]


def test_weights_that_did_not_move_are_named():
    loop = toys.Lazy()
    before = work.weights(loop)
    loop.run(5)
    assert work.problems(loop, 5, before) == ["no weight has moved"]


def test_numbers_that_are_not_finite_are_named():
    loop = toys.Quadratic()
    before = work.weights(loop)
    loop.run(2)
    loop.weight.assign(np.full(4, np.nan, np.float32))
    loop.run(2)
    assert work.problems(loop, 4, before) == [
        "history 'loss' is not finite from batch 2 on",
        "weight 0:generator/weight:0 is not finite",
    ]
