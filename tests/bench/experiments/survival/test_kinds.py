import keras

from loop_bench.experiments.survival.kinds import optimizer_state
from loop_bench.variables import variable_name


def named(variables):
    return [f"{number}:{variable_name(each)}" for number, each in enumerate(variables)]


def test_variables_of_an_optimizer_of_keras_are_told_from_all_others():
    layers = [
        keras.layers.Dense(2, name="dense"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.5),
    ]
    model = keras.Sequential([keras.Input((3,)), *layers], name="net")
    for make in (
        keras.optimizers.Adam,
        lambda: keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10)),  # no variable for it
        lambda: keras.optimizers.Adam(gradient_accumulation_steps=4),
    ):
        optimizer = make()
        optimizer.build(model.trainable_variables)
        weights = named(model.trainable_variables)
        others = [each for each in model.variables if not each.trainable]
        state = named([*others, *optimizer.variables])
        assert len(others) == 3  # two of the norm, and a generator's
        assert optimizer_state(state, weights) == {*state[3:]}


def test_two_optimizers():
    state = ["0:adam/iteration", "1:adam/m", "2:adam_1/iteration", "3:adam_1/m", "4:adam_2/m", "5:norm/mean"]
    assert optimizer_state(iter(state), []) == {*state[:4]}


def test_what_only_looks_like_one_is_other_state():
    """Nothing says what a program's own moments and counters are for."""
    state = ["0:iteration:0", "1:m:0", "2:net/iteration:0", "3:net/dense/mean:0", "4:adamant/m", "5:adam/iteration:0"]
    assert optimizer_state(state, ["6:net/dense/kernel:0"]) == {"5:adam/iteration:0"}
    assert optimizer_state([], []) == set()


def test_keras_2_calls_moments_by_the_whole_name_of_a_weight():
    weights = ["0:net/dense/kernel:0", "1:net/dense/bias:0"]
    state = ["2:iteration:0", "3:Adam/m/net/dense/kernel:0", "4:v/net/dense/bias:0", "5:net/norm/mean:0", "6:mean:0"]
    assert optimizer_state(state, weights) == {*state[:3]}
    assert optimizer_state(state[1:], weights) == set()  # no optimizer of Keras has no counter
    assert optimizer_state([state[0], *state[3:]], weights) == set()  # a counter of anything
    legacy = ["2:Adam/iter:0", "3:Adam/net/dense/kernel/m:0"]
    assert optimizer_state([*legacy, state[3]], weights) == {*legacy}
