import contextlib
import inspect
import itertools
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys

from loop_bench.errors import UsageError
from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.injection import injection
from loop_bench.loop import LoopSpec, load

START = {
    "generator/kernel": np.float32([[1.0, -2.0], [0.5, 4.0]]),
    "generator/bias": np.float32([0.25, -3.0]),
    "discriminator/kernel": np.float32([[2.0], [-1.0]]),
}
WAYS = {"eager": lambda f: f, "graph": tf.function, "xla": lambda f: tf.function(f, jit_compile=True)}
ways = pytest.mark.parametrize("way", WAYS)


def in_each_way(names, cases, few=3):
    """All cases in graphs; the first few, eagerly and compiled too, and the others so in slow runs: compiling takes
    most of the time, and what is compiled is what the graph says."""
    crossed = [
        pytest.param(way, *case, marks=[pytest.mark.slow] * (way != "graph" and number >= few))
        for way in WAYS
        for number, case in enumerate(cases)
    ]
    return pytest.mark.parametrize(f"way, {names}", crossed)


@pytest.fixture
def variables():
    return [tf.Variable(value, name=name) for name, value in START.items()]


def loss_of(variables):
    return tf.add_n([tf.reduce_sum(tf.cast(variable, tf.float32) ** 2) for variable in variables])


def gradients_of(variables):
    """Twice each variable."""
    with tf.GradientTape() as tape:
        loss = loss_of(variables)
    return tape.gradient(loss, variables)


def bits(values):
    return [np.array(value.numpy()).tobytes() for value in values]


def corrupted(fault, factor, genuine):
    """Corrupts the original gradients by hand, as the text of the fault says."""
    found, hit = [], False
    for name, value in zip(START, genuine, strict=True):
        right = np.array(value, np.float64)
        if (fault.target == "all" or fault.target in name) and not (hit and fault.extent != "all"):
            hit = True
            part = right.reshape(-1)[:1] if fault.extent == "element" else right
            part[...] = part * factor if fault.kind == "scale" else float(fault.kind)
        with np.errstate(over="ignore"):
            found.append(right.astype(np.float32))
    return found


@in_each_way(
    "text",
    [
        ("nan",),
        ("scale=10,extent=element,target=generator/bias",),
        ("scale=2,batches=3,growth=10",),
        ("inf",),
        ("scale=10",),
        ("scale=1e4",),
        ("scale=1e38",),
        ("scale=1e39",),
        ("scale=0",),
        ("nan,target=generator",),
        ("scale=-0.5,target=discriminator",),
        ("inf,target=generator/bias",),
        ("nan,extent=variable",),
        ("scale=1e4,extent=variable,target=discriminator",),
        ("nan,extent=element",),
    ],
)
def test_gradients_go_wrong_as_the_text_says_and_only_then(text, way, variables):
    fault = Fault.parse(text)
    genuine = [2 * value for value in START.values()]
    with injection(fault) as faulty:
        step = WAYS[way](lambda: gradients_of(variables))
        for batch in range(fault.batch - 1, fault.end + 1):
            strength = fault.strength(batch)
            faulty.set(strength)
            before = faulty.strikes()
            found = step()
            right = genuine if strength is None else corrupted(fault, strength, genuine)
            for one, other in zip(found, right, strict=True):
                assert one.dtype == tf.float32
                np.testing.assert_array_equal(one, other)
            assert faulty.strikes() - before == (strength is not None)
    for one, other in zip(gradients_of(variables), genuine, strict=True):
        np.testing.assert_array_equal(one, other)


@in_each_way(
    "dtype, text, right",
    [
        (dtype, text, right)
        for text, right in (("scale=16", [32, -64]), ("nan", [np.nan, np.nan]), ("scale=0", [0, 0]))
        for dtype in ("float16", "bfloat16", "float64")
    ],
)
def test_gradients_of_other_types_keep_them(text, right, dtype, way):
    fault, dtype = Fault.parse(text), tf.as_dtype(dtype)
    variable = tf.Variable(tf.constant([1.0, -2.0], dtype))
    with injection(fault) as faulty:
        faulty.set(fault.strength(fault.batch))
        (found,) = WAYS[way](lambda: gradients_of([variable]))()
    assert found.dtype == dtype
    np.testing.assert_array_equal(tf.cast(found, tf.float64), right)


def test_a_double_is_multiplied_by_all_digits_of_the_factor():
    variable = tf.Variable(tf.constant(0.5, tf.float64))
    with injection(Fault("scale", 0.1)) as faulty:
        for factor in (0.1, 1e100):
            faulty.set(factor)
            assert float(gradients_of_double(variable)) == factor


def gradients_of_double(variable):
    with tf.GradientTape() as tape:
        loss = variable**2
    return tape.gradient(loss, variable)


@ways
def test_a_strength_that_changes_traces_nothing_anew(way, variables):
    traces = []

    def step():
        traces.append(1)
        return gradients_of(variables)

    fault = Fault("scale", 10.0, batch=2, batches=4, growth=10.0)
    with injection(fault) as faulty:
        step = WAYS[way](step)
        found = []
        for batch in range(8):
            faulty.set(fault.strength(batch))
            found.append(float(step()[1][0]) / 0.5)
    assert found == [1, 1, 10, 100, 1000, 10000, 1, 1]
    assert len(traces) == (8 if way == "eager" else 1)


@pytest.mark.parametrize(
    ("text", "together", "compiled"),
    [
        ("nan,target=head", 1, False),
        ("scale=100,target=trunk/bias", 4, True),
        pytest.param("scale=100,target=trunk/bias", 1, True, marks=pytest.mark.slow),
        pytest.param("nan,target=head", 4, False, marks=pytest.mark.slow),
    ],
)
def test_keras_fit(text, together, compiled):
    """Stochastic gradient descent: the weights tell the gradient."""
    fault = Fault.parse(text)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, name="trunk"), keras.layers.Dense(1, name="head")]
    model = keras.Sequential([keras.Input((2,)), *layers], name="net")
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=compiled, steps_per_execution=together)
    data, wanted = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)

    def change():
        """The movement of the weights in a batch, and the movement without a fault."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(data) - wanted) ** 2)
        variables = model.trainable_variables
        genuine = [-0.5 * each for each in genuine_gradient(tape, loss, [each.value for each in variables])]
        before = model.get_weights()
        model.fit(data, wanted, verbose=0, batch_size=4)
        moved = [after - was for was, after in zip(before, model.get_weights(), strict=True)]
        return {each.path: both for each, *both in zip(variables, moved, genuine, strict=True)}

    genuine_gradient = tf.GradientTape.gradient
    with injection(fault) as faulty:
        faulty.set(None)
        clean = change()
        assert faulty.strikes() == 0
        faulty.set(fault.strength(fault.batch))
        found = change()
        assert faulty.strikes() == 1
    for name, (moved, right) in clean.items():
        np.testing.assert_allclose(moved, right, rtol=1e-4, err_msg=name)
    for name, (moved, right) in found.items():
        if fault.target in name:
            right = np.full_like(right, np.nan) if fault.kind == "nan" else right * 100
        np.testing.assert_allclose(moved, right, rtol=1e-4, err_msg=name)


def test_every_one_of_several_steps_in_a_call_of_keras_goes_wrong():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False, steps_per_execution=4)
    with injection(Fault("scale", 0.0)) as faulty:
        faulty.set(0.0)
        before = model.get_weights()
        model.fit(np.ones((16, 2), np.float32), np.ones((16, 1), np.float32), verbose=0, batch_size=4)
        assert faulty.strikes() == 4
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@in_each_way("extent", [("element",), ("all",), ("variable",)], few=1)
def test_slices_keep_their_indices(extent, way):
    table = tf.Variable(tf.ones([4, 2]), name="table")
    with injection(Fault("scale", 10.0, extent=extent)) as faulty:
        faulty.set(10.0)

        def step():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.gather(table, [2, 2, 0]))
            gradient = tape.gradient(loss, table)
            assert isinstance(gradient, tf.IndexedSlices)
            return gradient.values, gradient.indices

        values, indices = WAYS[way](step)()
    assert indices.numpy().tolist() == [2, 2, 0]
    right = np.full([3, 2], 10.0)
    if extent == "element":
        right.reshape(-1)[1:] = 1.0
    np.testing.assert_array_equal(values, right)


@in_each_way("extent", [("element",), ("all",)], few=1)
def test_slices_of_no_rows_pass(extent, way):
    table = tf.Variable(tf.ones([4, 2]))
    with injection(Fault("nan", extent=extent)) as faulty:
        faulty.set(1.0)

        def step():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.gather(table, tf.zeros([0], tf.int32)))
            return tf.convert_to_tensor(tape.gradient(loss, table))

        np.testing.assert_array_equal(WAYS[way](step)(), np.zeros([4, 2]))


def test_structures_nothings_and_tensors_pass():
    used, unused, watched = tf.Variable(1.0), tf.Variable(1.0), tf.constant(3.0)
    with injection(Fault("scale", 10.0)) as faulty:
        faulty.set(10.0)
        with tf.GradientTape() as tape:
            tape.watch(watched)
            loss = used**2 * watched
        gradients = tape.gradient(loss, {"b": [watched], "a": (used, unused)})
    assert list(gradients) == ["b", "a"]
    assert isinstance(gradients["a"], tuple)
    assert float(gradients["a"][0]) == 60.0
    assert gradients["a"][1] is None
    assert float(gradients["b"][0]) == 10.0
    assert faulty.strikes() == 1


@pytest.mark.parametrize("extent", ["variable", "element"])
def test_the_first_variable_is_the_first_that_has_a_gradient(extent):
    unused, first, second = (tf.Variable([1.0, 1.0]) for _ in range(3))
    with injection(Fault("nan", extent=extent)) as faulty:
        faulty.set(1.0)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(first**2 + second**2)
        gradients = tape.gradient(loss, [unused, first, second])
    assert gradients[0] is None
    np.testing.assert_array_equal(gradients[1], [np.nan, np.nan if extent == "variable" else 2.0])
    np.testing.assert_array_equal(gradients[2], [2.0, 2.0])


def test_gradients_of_complex_numbers_pass():
    variable = tf.Variable(tf.constant(1.0 + 1.0j))
    with injection(Fault("nan")) as faulty:
        faulty.set(1.0)
        with tf.GradientTape() as tape:
            loss = tf.abs(variable) ** 2
        assert np.isfinite(tape.gradient(loss, variable).numpy())
        assert faulty.strikes() == 0


@ways
def test_each_gradient_of_a_persistent_tape_goes_wrong(way):
    one, other = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")
    with injection(Fault("scale", 10.0, extent="element")) as faulty:
        faulty.set(10.0)

        def step():
            with tf.GradientTape(persistent=True) as tape:
                loss = one**2 + other**2
            return tape.gradient(loss, one), tape.gradient(loss, [other]), tape.gradient(target=loss, sources=[one])

        first, (second,), (third,) = WAYS[way](step)()
        assert [float(first), float(second), float(third)] == [20.0, 40.0, 20.0]
        assert faulty.strikes() == 3


@ways
def test_a_plain_tensor_is_of_no_network(way):
    def step(value):
        with tf.GradientTape() as tape:
            tape.watch(value)
            loss = value**2
        return tape.gradient(loss, value)

    for target, right in (("all", np.nan), ("generator", 2.0)):
        with injection(Fault("nan", target=target)) as faulty:
            faulty.set(1.0)
            np.testing.assert_array_equal(WAYS[way](step)(tf.constant(1.0)), right)


def test_what_else_a_tape_takes_is_passed_on():
    used, unused = tf.Variable(1.0), tf.Variable([1.0, 1.0])
    with injection(Fault("scale", 10.0)) as faulty:
        faulty.set(10.0)
        with tf.GradientTape(persistent=True) as tape:
            loss = used**2
        zeros = tf.UnconnectedGradients.ZERO
        found = tape.gradient(loss, [used, unused], unconnected_gradients=zeros)
        assert float(found[0]) == 20.0
        assert found[1].numpy().tolist() == [0.0, 0.0]
        assert float(tape.gradient(loss, used, [tf.constant(3.0)])) == 60.0


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_a_gradient_inside_of_control_flow_goes_wrong_where_it_is_computed(compiled):
    variable = tf.Variable(1.0)

    def gradient():
        with tf.GradientTape() as tape:
            loss = variable**2
        return tape.gradient(loss, variable)

    @tf.function(jit_compile=compiled)
    def branch(taken):
        return tf.cond(taken, gradient, lambda: 7.0)

    @tf.function(jit_compile=compiled)
    def loop(times):
        def body(index, total):
            return index + 1, total + gradient()

        return tf.while_loop(lambda index, total: index < times, body, (0, 0.0))[1]

    @tf.function(jit_compile=compiled)
    def converted(times):
        total = 0.0
        for index in tf.range(times):
            if index < 2:
                total += gradient()
        return total

    with injection(Fault("scale", 10.0)) as faulty:
        for strength, right, strikes in ((None, (2, 7, 6, 4), (0, 0, 0, 0)), (10.0, (20, 7, 60, 40), (1, 0, 3, 2))):
            faulty.set(strength)
            calls = [(branch, True), (branch, False), (loop, 3), (converted, 3)]
            for (function, argument), value, often in zip(calls, right, strikes, strict=True):
                before = faulty.strikes()
                assert float(function(tf.constant(argument))) == value
                assert faulty.strikes() - before == often


def test_counts_what_can_be_hit_and_says_why_nothing_was():
    for target, hit in (("encoder", 0), ("generator", 2), ("all", 3)):
        made = [tf.Variable(value, name=name) for name, value in START.items()]
        with injection(Fault("nan", target=target)) as faulty:
            tf.function(lambda made=made: gradients_of(made))()
        assert faulty.hit == hit
        named = {"encoder": "a variable with 'encoder' in its name"}.get(target, "any variable")
        said = f"no gradient of {named} was traced by tf.GradientTape.gradient; faults do not reach"
        assert faulty.why_not().startswith(said) == (hit == 0)


@pytest.mark.parametrize("hit", [True, False])
def test_a_jacobian_of_a_tape_is_a_way_in_and_tf_gradients_is_none(hit):
    weight = tf.Variable([1.0, 2.0])

    @tf.function
    def jacobian():
        with tf.GradientTape() as tape:
            squares = weight**2
        return tape.jacobian(squares, weight)

    gradients = tf.function(lambda: tf.gradients(weight**2, weight)[0])
    with injection(Fault("nan")) as faulty:
        faulty.set(1.0)
        found = (jacobian if hit else gradients)()
    assert np.isnan(found).all() == hit
    assert (faulty.strikes() > 0) == hit
    assert faulty.why_not().startswith("no gradient of any variable was traced") == (not hit)


@pytest.mark.parametrize("text", ["nan", "nan,in=faulty_module:gate(value)", "nan,in=step(x)"])
def test_leaves_everything_as_it_was(text, module):
    class Loop:
        def step(self, x):
            return x

    loop, kept = Loop(), vars(module).copy()
    genuine = tf.GradientTape.gradient
    fault = injection(Fault.parse(text))
    with pytest.raises(KeyError), fault:
        fault.attach(loop)
        replaced = [
            tf.GradientTape.gradient is not genuine,
            vars(module) != kept,
            "step" in vars(loop),
        ]
        assert replaced.count(True) == 1
        raise KeyError
    assert tf.GradientTape.gradient is genuine
    assert vars(module) == kept
    assert not vars(loop)


def test_gradients_that_were_traced_with_a_fault_are_right_after_it(variables):
    with injection(Fault("nan")) as faulty:
        step = tf.function(lambda: gradients_of(variables))
        faulty.set(1.0)
        assert np.isnan(step()[0]).all()
    for one, other in zip(step(), START.values(), strict=True):
        np.testing.assert_array_equal(one, 2 * other)
    assert faulty.strikes() == 1


@pytest.mark.parametrize("place", ["gate", "gate(value)"])
def test_calls_that_were_traced_with_a_fault_are_right_after_it(place, module):
    with injection(Fault("nan", place=f"faulty_module:{place}")) as faulty:
        step = tf.function(lambda value: module.gate(value))
        faulty.set(1.0)
        assert np.isnan(step(tf.constant(1.0)))
    assert float(step(tf.constant(1.0))) == 2.0
    assert faulty.strikes() == 1


# Calls


def gate(value, scale=2.0, *, extra=None):
    """Needs AutoGraph in a graph."""
    if tf.reduce_sum(value) > 1e6:
        value = tf.zeros_like(value)
    return value * scale if extra is None else (value * scale, {"extra": extra})


class Holder:
    def method(self, value):
        return value + 1

    @staticmethod
    def static(value):
        return value + 2

    @classmethod
    def of_class(cls, value):
        return value + 3


@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("faulty_module")
    made.gate, made.Holder, made.number = gate, Holder, 3
    monkeypatch.setitem(sys.modules, "faulty_module", made)
    return made


@in_each_way(
    "positional, named, genuine, right",
    [
        ([], {"scale": 3.0, "value": "x"}, [3, 6], [30, 60]),
        (["large"], {}, [2e5, 4e5], [0, 0]),  # what is behind the fault sees it
        (["x"], {}, [2, 4], [20, 40]),
        ([], {"value": "x"}, [2, 4], [20, 40]),
        (["x", 3.0], {}, [3, 6], [30, 60]),
    ],
    few=2,
)
def test_an_argument_goes_wrong(positional, named, genuine, right, way, module):
    def call(x):
        values = {"x": x, "large": x * 1e5}
        args = [values.get(each, each) for each in positional]
        return module.gate(*args, **{name: values.get(each, each) for name, each in named.items()})

    with injection(Fault("scale", 10.0, place="faulty_module:gate(value)")) as faulty:
        function = WAYS[way](call)
        for strength, expected in ((None, genuine), (10.0, right), (None, genuine)):
            faulty.set(strength)
            assert function(tf.constant([1.0, 2.0])).numpy().tolist() == expected
    assert faulty.strikes() == 1


def test_the_other_arguments_pass(module):
    with injection(Fault("scale", 10.0, place="faulty_module:gate(value)")) as faulty:
        faulty.set(10.0)
        value, extra = module.gate(tf.constant(1.0), tf.constant(2.0), extra=tf.constant(3.0))
    assert float(value) == 20.0
    assert float(extra["extra"]) == 3.0


@pytest.mark.parametrize(
    ("text", "of_array"),
    [
        ("scale=10", [10, 20]),
        ("scale=10,extent=element", [10, 2]),
        ("nan", [np.nan, np.nan]),
    ],
)
@pytest.mark.parametrize("place", ["same", "same(value)"])
def test_arrays_go_wrong(place, text, of_array, module):
    module.same = lambda value: value
    values = {"array": np.float32([1, 2]), "truth": np.array([True]), "text": "a"}
    with injection(Fault.parse(f"{text},in=faulty_module:{place}")) as faulty:
        faulty.set(None)
        found = module.same(values)
        assert all(found[key] is value for key, value in values.items())
        assert faulty.strikes() == 0
        faulty.set(10.0 if "scale" in text else 1.0)
        found = module.same(values)
        assert isinstance(found["array"], np.ndarray)
        np.testing.assert_array_equal(found["array"], np.float32(of_array))
        assert found["truth"] is values["truth"]
        assert found["text"] == "a"
        assert faulty.strikes() == 1
    assert values["array"].tolist() == [1, 2]


@pytest.mark.parametrize("way", ["graph", "xla"])
def test_an_array_in_a_graph_goes_wrong(way, module):
    with injection(Fault("scale", 10.0, place="faulty_module:gate(value)")) as faulty:
        function = WAYS[way](lambda: module.gate(np.float32([1, 2])))
        for strength, right in ((None, [2, 4]), (10.0, [20, 40]), (None, [2, 4])):
            faulty.set(strength)
            assert function().numpy().tolist() == right
    assert faulty.strikes() == 1


def test_a_default_goes_wrong(module, monkeypatch):
    monkeypatch.setattr(gate, "__defaults__", (tf.constant(2.0),))
    with injection(Fault("nan", place="faulty_module:gate(scale)")) as faulty:
        faulty.set(1.0)
        assert np.isnan(module.gate(tf.constant(1.0)))
        assert np.isnan(module.gate(tf.constant(1.0), tf.constant(3.0)))
        assert float(module.gate(tf.constant(1.0), 3.0)) == 3.0  # no tensor
    assert faulty.strikes() == 2
    assert float(module.gate(tf.constant(1.0))) == 2.0


@in_each_way(
    "extent, right",
    [("all", ([2, 2], [9, 9])), ("element", ([2, 4], [5, 6])), ("variable", ([2, 2], [5, 6]))],
    few=1,
)
def test_a_result_goes_wrong_in_all_its_structure(extent, right, way, module):
    largest = tf.int32.max
    with injection(Fault("nan", place="faulty_module:gate", extent=extent)) as faulty:
        function = WAYS[way](lambda x, e: module.gate(x, extra=e))
        faulty.set(1.0)
        value, extra = function(tf.constant([1.0, 2.0]), tf.constant([5, 6]))
    assert np.where(np.isnan(value), 2, value).tolist() == right[0]
    assert np.isnan(value).tolist() == [True, extent != "element"]
    assert np.where(extra["extra"] == largest, 9, extra["extra"]).tolist() == right[1]
    assert faulty.strikes() == 1


@in_each_way("extent", [("element",), ("all",)], few=1)
def test_gradients_follow_an_argument_that_goes_wrong(extent, way, module):
    with injection(Fault("scale", 10.0, place="faulty_module:gate(value)", extent=extent)) as faulty:

        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(module.gate(x) ** 2)
            return tape.gradient(loss, x)

        step = WAYS[way](gradient)
        for strength in (None, 10.0):
            faulty.set(strength)
            found = step(tf.constant([1.0, 2.0])).numpy().tolist()
            assert found == ([8, 16] if strength is None else [800, 1600 if extent == "all" else 16])


@pytest.mark.parametrize(("name", "added"), [("method", 1), ("static", 2), ("of_class", 3)])
def test_an_attribute_of_a_class(name, added, module):
    before = inspect.getattr_static(Holder, name)
    for place in (f"faulty_module:Holder.{name}(value)", f"faulty_module:Holder.{name}"):
        with injection(Fault("scale", 10.0, place=place)) as faulty:
            faulty.set(10.0)
            found = float(getattr(module.Holder(), name)(tf.constant(1.0)))
            assert found == (10 + added if "(" in place else 10 * (1 + added))
        assert inspect.getattr_static(Holder, name) is before


class Loop:
    """Calls its own functions in all ways."""

    def __init__(self):
        self.part = types.SimpleNamespace(inner=lambda value: value * 3)
        self.compiled = tf.function(self._compiled)

    def plain(self, value):
        return value * 2

    def _compiled(self, value, scale):
        if tf.reduce_sum(value) > 1e6:
            value = tf.zeros_like(value)
        return value * scale

    @tf.function
    def decorated(self, value, scale=2.0):
        return value * scale

    def all(self, value):
        found = self.plain(value), self.part.inner(value), self.compiled(value, 5.0)
        return (*found, self.decorated(value), self.decorated(scale=7.0, value=value))


@in_each_way(
    "place, right",
    [
        ("plain(value)", [20, 3, 5, 2, 7]),
        ("compiled", [2, 3, 50, 2, 7]),
        ("decorated(value)", [2, 3, 5, 20, 70]),
        ("plain", [20, 3, 5, 2, 7]),
        ("part.inner(value)", [2, 30, 5, 2, 7]),
        ("compiled(value)", [2, 3, 50, 2, 7]),
        ("decorated", [2, 3, 5, 20, 70]),
    ],
)
def test_a_method_of_the_loop(place, right, way):
    loop = Loop()
    before, inner = vars(loop).copy(), loop.part.inner
    with injection(Fault("scale", 10.0, place=place)) as faulty:
        faulty.attach(loop)
        function = WAYS[way](loop.all)
        for strength, expected in ((None, [2, 3, 5, 2, 7]), (10.0, right)):
            faulty.set(strength)
            assert [float(value) for value in function(tf.constant(1.0))] == expected
    assert vars(loop) == before
    assert loop.part.inner is inner
    assert [float(value) for value in loop.all(tf.constant(1.0))] == [2, 3, 5, 2, 7]


@pytest.mark.parametrize("name", ["compiled", "decorated"])
def test_who_asks_a_function_for_its_graph_gets_it_without_the_fault(name):
    loop, value = Loop(), tf.constant(1.0)
    getattr(loop, name)(value, 5.0)
    with injection(Fault("nan", place=f"{name}(value)")) as faulty:
        faulty.attach(loop)
        faulty.set(1.0)
        function = getattr(loop, name)
        assert np.isnan(function(value, 5.0))
        assert float(function.get_concrete_function(value, 5.0)(value)) == 5.0
        assert function.experimental_get_tracing_count() == 1


def test_who_asks_a_function_for_its_compiled_form_gets_it():
    loop, value = Loop(), tf.constant(1.0)
    loop.compiled = tf.function(lambda value: value * 5.0, jit_compile=True)
    with injection(Fault("nan", place="compiled")) as faulty:
        faulty.attach(loop)
        assert "HloModule" in loop.compiled.experimental_get_compiler_ir(value)(stage="hlo")


def test_a_plain_function_has_no_graph_to_ask_for(module):
    with injection(Fault("nan", place="faulty_module:gate")):
        assert not hasattr(module.gate, "get_concrete_function")


@ways
def test_a_function_is_converted_all_the_same(way, module):
    """`if tensor:` works behind the fault only if AutoGraph has gone through it."""
    loop = Loop()
    with (
        injection(Fault("nan", place="faulty_module:gate")) as one,
        injection(Fault("nan", place="compiled(value)")) as other,
    ):
        other.attach(loop)
        one.set(None)
        other.set(None)

        def call(value):
            return module.gate(value), loop.compiled(value, 5.0)

        function = WAYS[way](call)
        assert [float(value) for value in function(tf.constant(1.0))] == [2, 5]
        assert [float(value) for value in function(tf.constant(1e7))] == [0, 0]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("no_such_module:f", "importing no_such_module failed (ModuleNotFoundError: No module named 'no_such_module')"),
        (".relative:f", "importing .relative failed (TypeError: "),
        ("faulty_module:absent(x)", "faulty_module has no absent"),
        ("faulty_module:Holder.absent", "faulty_module has no Holder.absent"),
        ("faulty_module:gate(absent)", "gate takes value, scale, extra, not absent"),
        ("faulty_module:number", "number is a int, not a Python function"),
        ("faulty_module:number.to_bytes.x", "faulty_module has no number.to_bytes.x"),
        ("faulty_module:number.bit_length", "number.bit_length cannot be replaced ("),
        ("absent", "the loop has no absent"),
        ("part.absent(x)", "the loop has no part.absent"),
        ("compiled(absent)", "compiled takes value, scale, not absent"),
        ("decorated(absent)", "decorated takes value, scale, not absent"),
    ],
)
def test_a_function_that_is_not_there_is_one_line(place, says, module):
    kept = vars(module).copy()
    with pytest.raises(UsageError) as caught, injection(Fault("nan", place=place)) as faulty:
        faulty.attach(Loop())
    assert str(caught.value).startswith(f"fault nan,in={place}: {says}")
    assert "\n" not in str(caught.value)
    assert vars(module) == kept


@pytest.mark.parametrize("make", [tf.ones, np.ones])
def test_says_why_no_call_went_wrong(make, module):
    with injection(Fault("nan", place="faulty_module:gate(value)")) as faulty:
        followed = "calls by another name of the function are not seen"
        assert faulty.why_not() == f"gate was never called; {followed}"
        module.gate(3.0)
        assert faulty.why_not() == f"gate was not called with tensors or arrays of numbers; {followed}"
        module.gate(make(2))
        assert faulty.why_not() == "gate was not called in the fault's batches"
    assert faulty.strikes() == 0


# Weights and learning rates


class Weights:
    def __init__(self, dtype=tf.float32):
        values = [tf.cast(value, dtype) for value in START.values()]
        self.variables = [tf.Variable(value, name=name) for name, value in zip(START, values, strict=True)]
        self.variables.insert(0, tf.Variable([9.0], trainable=False, name="generator/moment"))


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16, tf.float64], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    "text", ["nan", "inf", "scale=-2", "nan,target=discriminator", "nan,extent=variable", "scale=8,extent=element"]
)
def test_weights_go_wrong_before_a_batch(text, dtype):
    fault = Fault.parse(f"{text},in=weights")
    loop = Weights(dtype)
    with injection(fault) as faulty:
        faulty.attach(loop)
        faulty.set(None)
        assert bits(loop.variables) == bits(Weights(dtype).variables)
        faulty.set(fault.strength(fault.batch))
    assert faulty.strikes() == 1
    moment, *weights = loop.variables
    assert moment.numpy() == 9.0
    for variable, right in zip(weights, corrupted(fault, fault.factor, START.values()), strict=True):
        assert variable.dtype == dtype
        np.testing.assert_array_equal(tf.cast(variable, tf.float32), right)


@pytest.mark.parametrize("extent", ["all", "variable", "element"])
@pytest.mark.parametrize("make", [tf.Variable, keras.Variable])
def test_a_weight_that_is_a_single_number_goes_wrong(make, extent):
    loop = types.SimpleNamespace(variables=[make(2.0, name="only")])
    with injection(Fault("scale", 1e39, place="weights", extent=extent)) as faulty:
        faulty.attach(loop)
        faulty.set(1e39)
    assert loop.variables[0].numpy() == np.inf
    assert faulty.strikes() == 1


def test_a_whole_number_among_the_weights_becomes_the_largest():
    loop = types.SimpleNamespace(variables=[tf.Variable([1, 2])])
    with injection(Fault("nan", place="weights")) as faulty:
        faulty.attach(loop)
        faulty.set(1.0)
    assert loop.variables[0].numpy().tolist() == [tf.int32.max] * 2


def test_a_loop_without_such_a_weight_says_so():
    with injection(Fault("nan", place="weights", target="encoder")) as faulty:
        faulty.attach(Weights())
        faulty.set(1.0)
    assert faulty.strikes() == 0
    assert faulty.why_not() == "the loop has no such weight"


class Rates:
    def __init__(self):
        self.optimizers = [keras.optimizers.Adam(rate, name=name) for name, rate in (("generator", 0.1), ("d", 0.3))]
        for optimizer in self.optimizers:
            optimizer.build([tf.Variable(1.0)])
        plain = tf.Variable(0.7, trainable=False, name="learning_rate")
        self.variables = [*(each for optimizer in self.optimizers for each in optimizer.variables), plain]

    @property
    def rates(self):
        return [float(each.learning_rate) for each in self.optimizers] + [float(self.variables[-1])]


@pytest.mark.parametrize(
    ("text", "of_batches"),
    [
        ("scale=1000", [[1000, 1000, 1000]]),
        ("scale=2,target=generator", [[2, 1, 1]]),
        ("scale=2,extent=variable", [[2, 1, 1]]),
        ("nan", [[np.nan] * 3]),
        ("scale=1e40", [[np.inf] * 3]),
        ("scale=0.1,growth=3,batches=3", [[0.1] * 3, [0.3] * 3, [0.9] * 3]),
    ],
)
def test_learning_rates_go_wrong_for_as_long_as_the_fault_lasts(text, of_batches):
    fault = Fault.parse(f"{text},in=learning_rate,batch=2")
    loop = Rates()
    usual, before = loop.rates, bits(loop.variables)
    with injection(fault) as faulty:
        faulty.attach(loop)
        for batch in range(fault.end + 2):
            faulty.set(fault.strength(batch))
            if fault.strength(batch) is None:
                assert bits(loop.variables) == before
            else:
                right = np.array(of_batches[batch - 2]) * usual
                np.testing.assert_allclose(loop.rates, right, rtol=1e-6)
    assert faulty.strikes() == len(of_batches)


def test_a_learning_rate_is_put_back_between_two_batches_of_a_fault():
    loop = Rates()
    before = bits(loop.variables)
    with injection(Fault("scale", 0.1, place="learning_rate", batches=9, probability=0.5)) as faulty:
        faulty.attach(loop)
        for _ in range(3):
            faulty.set(0.1)
            faulty.set(0.1)
            assert bits(loop.variables) != before
            faulty.set(None)
            assert bits(loop.variables) == before


def test_a_learning_rate_is_put_back_on_leaving():
    loop = Rates()
    before = bits(loop.variables)
    with pytest.raises(KeyError), injection(Fault("nan", place="learning_rate")) as faulty:
        faulty.attach(loop)
        faulty.set(1.0)
        assert np.isnan(loop.rates).all()
        raise KeyError
    assert bits(loop.variables) == before
    with injection(Fault("nan", place="learning_rate")) as faulty:
        faulty.attach(loop)
    assert bits(loop.variables) == before


def test_a_loop_without_a_learning_rate_says_so():
    with injection(Fault("scale", 2.0, place="learning_rate")) as faulty:
        faulty.attach(Weights())
        faulty.set(2.0)
        faulty.set(None)
    assert faulty.strikes() == 0
    assert faulty.why_not() == "the loop has no such variable called learning_rate"


# While it is not active


class Small(toys.Quadratic):
    """Two networks, an embedding, and a function of each kind on the way of the loss."""

    def __init__(self, way):
        self.way = way
        super().__init__()
        self.table = tf.Variable(np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2), name="discriminator/table")
        self.optimizer = keras.optimizers.Adam(0.01)
        self.optimizer.build([self.weight, self.table])
        self.step = WAYS[way](self._step)

    def shifted(self, value):
        return value - 3.0

    def _step(self):
        with tf.GradientTape() as tape:
            rows = tf.gather(self.table, [1, 1, 4])
            loss = tf.reduce_mean(toys_gate(self.shifted(self.weight.read_value())) ** 2) + tf.reduce_mean(
                tf.tanh(rows) * rows
            )
        weights = [self.weight, self.table]
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    @property
    def variables(self):
        return [self.weight, self.table, *self.optimizer.variables]


def toys_gate(value):
    return sys.modules["faulty_module"].gate(value, 0.1)


PLACES = ("gradients", "weights", "learning_rate", "faulty_module:gate(value)", "faulty_module:gate", "shifted(value)")
OFTEN = {
    ("gradients", "nan,extent=element", "graph"),
    ("gradients", "nan,extent=element", "xla"),
    ("gradients", "nan,extent=element", "eager"),
    ("weights", "nan,extent=element", "graph"),
    ("learning_rate", "scale=1e4", "graph"),
    ("faulty_module:gate(value)", "scale=1e4", "graph"),
    ("faulty_module:gate(value)", "scale=1e4", "xla"),
    ("faulty_module:gate(value)", "scale=1e4", "eager"),
    ("faulty_module:gate", "nan,extent=element", "graph"),
    ("shifted(value)", "scale=1e4", "graph"),
}
"""Those that are not slow: each place in a graph, and the two that change one in each way. Faults in weights and
learning rates leave the graph as it is."""


@pytest.mark.parametrize(
    ("place", "text", "way"),
    [
        pytest.param(place, text, way, marks=[pytest.mark.slow] * ((place, text, way) not in OFTEN))
        for place, text, way in itertools.product(PLACES, ("nan,extent=element", "scale=1e4"), WAYS)
    ],
)
def test_changes_no_bit_while_it_is_not_active(place, text, way, module, clean_small):
    fault = Fault.parse(f"{text},in={place}")
    with injection(fault) as faulty:
        loop = Small(way)
        faulty.attach(loop)
        for _ in range(8):
            faulty.set(None)
            loop.run(1)
        assert getattr(faulty, "hit", 1) > 0
        assert faulty.strikes() == 0
    assert bits(loop.variables) == clean_small(way)


@pytest.fixture(scope="module")
def clean_small():
    """The bits of the loop without any injection, by its way."""
    found = {}

    def of(way):
        if way not in found:
            loop = Small(way)
            loop.run(8)
            found[way] = bits(loop.variables)
        return found[way]

    return of


BUILT_IN = [
    Fault("scale", 1e4),
    Fault("nan", extent="element"),
    Fault("nan", place="weights"),
    Fault("scale", 1e4, place="learning_rate"),
    Fault("nan", place="train_discriminator_adversarial(real_sequences)"),
    Fault("nan", place="generate_fake_samples"),
    Fault("scale", 1e4, place="loop_bench.seqgan.objectives:policy_gradient_loss(rewards)"),
    Fault("nan", place="loop_bench.seqgan.objectives:policy_gradient_loss"),
]


@pytest.mark.parametrize("name", ["loop_bench.baseline:make_loop", "loop_bench.seqgan:make_loop"])
def test_the_built_in_loops_have_all_places_and_none_is_changed_by_attaching(name):
    loop = load(name)(LoopSpec("tiny"))
    before = bits(loop.variables)
    with contextlib.ExitStack() as stack:
        for fault in BUILT_IN:
            stack.enter_context(injection(fault)).attach(loop)
        assert bits(loop.variables) == before
    assert bits(loop.variables) == before


@pytest.mark.slow  # tracing two loops takes long; above is a small one with a place of each kind
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("loop_bench.baseline:make_loop", {}),
        # With the sampled pass, lines come with their gradient, and not from the function that is a place here.
        ("loop_bench.seqgan:make_loop", {"jit_compile": False, "policy_gradient": "second_pass"}),
        ("loop_bench.seqgan:make_loop", {"jit_compile": True, "policy_gradient": "second_pass"}),
    ],
    ids=["baseline", "seqgan", "seqgan xla"],
)
def test_changes_no_bit_of_the_built_in_loops_while_not_active(name, options):
    """All places at once: none of them may."""
    factory, spec = load(name), LoopSpec("tiny", options=options)
    clean = factory(spec)
    clean.run(6)
    with contextlib.ExitStack() as stack:
        entered = [stack.enter_context(injection(fault)) for fault in BUILT_IN]
        loop = factory(spec)
        for each in entered:
            each.attach(loop)
        for _ in range(6):
            for each in entered:
                each.set(None)
            loop.run(1)
        assert all(getattr(each, "hit", 1) for each in entered)
        assert not any(each.strikes() for each in entered)
    for variable, one, other in zip(clean.variables, bits(clean.variables), bits(loop.variables), strict=True):
        assert one == other, variable.name
    for key, values in clean.history().items():
        np.testing.assert_array_equal(values, loop.history()[key])
