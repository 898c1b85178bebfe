import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from loop_bench.experiments.survival import Fault
from loop_bench.experiments.survival.switch import Switch

FLOATS = (tf.float16, tf.bfloat16, tf.float32, tf.float64)
INTEGERS = (tf.int8, tf.uint8, tf.int32, tf.int64, tf.uint64)


def on(fault, strength=None):
    switch = Switch(fault)
    switch.set(fault.factor if strength is None else strength)
    return switch


def bits(value):
    return np.array(value).tobytes()


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("kind", ["nan", "inf"])
def test_each_number_is_replaced(kind, dtype):
    found = on(Fault(kind)).corrupt(tf.constant([[1.0, -2.0], [0.0, np.inf]], dtype))
    assert found.dtype == dtype
    np.testing.assert_array_equal(tf.cast(found, tf.float64), np.full([2, 2], float(kind)))


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.name)
def test_each_number_is_multiplied(dtype, compiled):
    values = np.array([0.0, 1.0, -0.25, 3e-3, 7.0]).astype(dtype.as_numpy_dtype)
    switch = Switch(Fault("scale", 10.0))
    corrupt = tf.function(switch.corrupt, jit_compile=compiled)
    for factor in (10.0, 0.1, -2.0, 1e4, 1e38, 0.0):
        switch.set(factor)
        found = corrupt(tf.constant(values))
        with np.errstate(over="ignore"):
            right = (values.astype(np.float64) * factor).astype(dtype.as_numpy_dtype)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy().astype(float), right.astype(float), err_msg=str(factor))


def test_a_product_beyond_the_type_is_infinite_and_one_within_is_not():
    switch = on(Fault("scale", 1e30))
    np.testing.assert_array_equal(switch.corrupt(tf.constant([1e10, -1e10, 0.0])), np.float32([np.inf, -np.inf, 0.0]))
    switch.set(1e40)  # itself beyond a float32
    np.testing.assert_array_equal(
        switch.corrupt(tf.constant([2.0**-70, 0.0, 1.0])), np.float32([1e40 * 2.0**-70, 0.0, np.inf])
    )
    switch.set(np.inf)
    np.testing.assert_array_equal(switch.corrupt(tf.constant([1.0, -1.0])), np.float32([np.inf, -np.inf]))


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("fault", [Fault("nan"), Fault("inf"), Fault("scale", 2.0)], ids=str)
def test_an_integer_becomes_the_largest_of_its_type(fault, dtype):
    found = on(fault).corrupt(tf.constant([0, 1, 7], dtype))
    assert found.dtype == dtype
    assert found.numpy().tolist() == [dtype.max] * 3


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 2)], ids=str)
def test_one_element_is_the_first(shape, compiled):
    switch = on(Fault("nan", extent="element"))
    found = tf.function(switch.corrupt, jit_compile=compiled)(tf.ones(shape)).numpy().reshape(-1)
    assert np.isnan(found[0])
    assert np.all(found[1:] == 1)


@pytest.mark.parametrize("extent", ["all", "element"])
def test_nothing_of_an_empty_tensor_goes_wrong(extent):
    found = on(Fault("nan", extent=extent)).corrupt(tf.ones([0, 3]))
    assert found.shape == (0, 3)


@pytest.mark.parametrize("extent", ["all", "element"])
def test_slices_keep_their_indices_and_shape(extent):
    slices = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([4, 0]), tf.constant([5, 2]))
    found = on(Fault("scale", 10.0, extent=extent)).corrupt(slices)
    assert isinstance(found, tf.IndexedSlices)
    assert found.indices.numpy().tolist() == [4, 0]
    assert found.dense_shape.numpy().tolist() == [5, 2]
    right = [[10, 20], [30, 40]] if extent == "all" else [[10, 2], [3, 4]]
    assert found.values.numpy().tolist() == right


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("extent", ["all", "element"])
@pytest.mark.parametrize("fault", ["nan", "inf", "scale=1e4"])
def test_any_bits_pass_while_it_is_off(fault, extent, compiled):
    pass_ = tf.function(Switch(Fault.parse(f"{fault},extent={extent}")).corrupt, jit_compile=compiled)
    # Of each sign: zero, the smallest and the largest numbers, infinity, and both kinds of NaN at either end.
    known = [0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FBFFFFF, 0x7FC00000, 0x7FFFFFFF]
    drawn = np.random.default_rng(0).integers(0, 2**31, 10_000)
    numbers = np.concatenate([known, drawn]).astype(np.uint32)
    for values in (numbers.view(np.float32), (numbers | 0x80000000).view(np.float32)):
        assert bits(pass_(tf.constant(values))) == values.tobytes()


@pytest.mark.parametrize("compiled", [None, False, True], ids=["eager", "graph", "xla"])
@pytest.mark.parametrize("extent", ["all", "element"])
@pytest.mark.parametrize("kind", ["nan", "scale"])
def test_gradients_through_it_keep_their_bits_while_it_is_off(kind, extent, compiled):
    switch = Switch(Fault(kind, extent=extent))
    weights = np.float32([-0.0, 0.0, np.nan, np.inf, 0.1])

    def gradient(value):
        with tf.GradientTape() as tape:
            tape.watch(value)
            loss = tf.reduce_sum(switch.corrupt(value) * weights)
        return tape.gradient(loss, value)

    if compiled is not None:
        gradient = tf.function(gradient, jit_compile=compiled)
    assert bits(gradient(tf.ones(5))) == weights.tobytes()


@pytest.mark.parametrize("compiled", [None, False, True], ids=["eager", "graph", "xla"])
def test_gradients_through_it_are_those_of_what_it_computes(compiled):
    def gradient(value, switch):
        with tf.GradientTape() as tape:
            tape.watch(value)
            loss = tf.reduce_sum(switch.corrupt(value) ** 2)
        return tape.gradient(loss, value).numpy().tolist()

    value = tf.constant([1.0, 2.0])
    assert gradient(value, on(Fault("scale", 10.0))) == [200.0, 400.0]
    assert gradient(value, on(Fault("scale", 10.0, extent="element"))) == [200.0, 4.0]
    found = gradient(value, on(Fault("nan", extent="element")))
    assert found == [0.0, 4.0]  # a number put there depends on nothing


def test_its_strength_changes_without_tracing_anew():
    switch, traces = Switch(Fault("scale", 2.0)), []

    @tf.function
    def corrupt(value):
        traces.append(1)
        return switch.corrupt(value)

    found = []
    for strength in (None, 2.0, 20.0, None, 0.5):
        switch.set(strength)
        found.append(float(corrupt(tf.constant(3.0))))
    assert found == [3.0, 6.0, 60.0, 3.0, 1.5]
    assert len(traces) == 1


def test_its_variables_belong_to_nothing_that_is_traced_when_they_are_made():
    switch = Switch(Fault("nan"))

    @tf.function
    def step(value):
        return switch.corrupt(value)

    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        assert step(tf.ones([])).numpy() == 1.0
    switch.set(1.0)
    assert np.isnan(step(tf.ones([])).numpy())
    assert not isinstance(switch._state.on, tf.distribute.DistributedValues)


def test_every_replica_has_its_variables_on_its_device():
    switch, strategy = Switch(Fault("scale", 10.0)), tf.distribute.MirroredStrategy(["/cpu:0"])
    switch.set(10.0)

    def replica():
        switch.count()
        return switch.corrupt(tf.ones([]))

    step = tf.function(lambda: strategy.run(tf.function(replica, jit_compile=True)))
    assert step().numpy() == 10.0  # also where it was on before
    switch.set(None)
    assert step().numpy() == 1.0
    assert switch.strikes() == 1
    usual, of_replica = switch._states.values()
    assert int(of_replica.strikes) == 1
    assert int(usual.strikes) == 0


def test_before_it_has_variables_it_is_off_and_makes_none():
    switch = Switch(Fault("nan"))
    switch.set(None)
    assert not switch._states
    switch.prepare()
    assert switch._states


@pytest.mark.parametrize("compiled", [None, False, True], ids=["eager", "graph", "xla"])
def test_it_counts_what_happens_while_it_is_on(compiled):
    switch = Switch(Fault("nan"))
    count = switch.count if compiled is None else tf.function(switch.count, jit_compile=compiled)
    found = []
    for strength in (None, 1.0, 1.0, None):
        switch.set(strength)
        count()
        found.append(switch.strikes())
    assert found == [0, 1, 2, 2]


def test_it_takes_tensors_slices_and_arrays_of_numbers():
    switch = Switch(Fault("nan"))
    for dtype in (*FLOATS, *INTEGERS):
        assert switch.takes(tf.zeros([2], dtype))
    for dtype in (np.float16, np.float32, np.float64, np.uint8, np.int32, np.int64):
        assert switch.takes(np.zeros([2], dtype))
    assert switch.takes(tf.IndexedSlices(tf.ones([1]), tf.constant([0])))
    arrays = [np.array(each) for each in (True, "a", b"a", 1j, None)]
    tensors = [tf.constant(each) for each in ("a", True, 1j)]
    for other in (None, 1.0, "a", np.float32(1), *arrays, *tensors, tf.Variable(1.0)):
        assert not switch.takes(other)


@pytest.mark.parametrize("extent", ["all", "element"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int64])
@pytest.mark.parametrize("fault", [Fault("nan"), Fault("inf"), Fault("scale", 10.0)], ids=str)
def test_an_array_is_hit_as_a_tensor_is(fault, dtype, extent):
    values = np.array([[1, 2], [3, 4]], dtype)
    switch = on(dataclasses.replace(fault, extent=extent))
    found = switch.corrupt(values)
    assert isinstance(found, np.ndarray)
    assert found.dtype == dtype
    assert found.flags.writeable
    assert bits(found) == bits(switch.corrupt(tf.constant(values))) != bits(values)
    assert values.tolist() == [[1, 2], [3, 4]]


def test_an_array_passes_as_the_same_object_while_it_is_off():
    switch, values = on(Fault("nan")), np.ones(3, np.float32)
    assert switch.corrupt(values) is not values
    switch.set(None)
    assert switch.corrupt(values) is values


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_an_array_in_a_graph_is_a_constant_that_goes_wrong_when_it_is_on(compiled):
    switch = Switch(Fault("scale", 10.0))
    function = tf.function(lambda: switch.corrupt(np.float32([1, -0.0])), jit_compile=compiled)
    for strength, right in ((None, [1, -0.0]), (10.0, [10, -0.0]), (None, [1, -0.0])):
        switch.set(strength)
        assert bits(function()) == np.float32(right).tobytes()


@pytest.mark.parametrize("extent", ["all", "element"])
def test_what_is_known_of_a_shape_stays_known(extent):
    switch, shapes = Switch(Fault("nan", extent=extent)), []

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def corrupt(value):
        found = switch.corrupt(value)
        shapes.append(found.shape)
        return found

    corrupt(tf.ones([2, 3]))
    assert shapes[0].as_list() == [None, 3]
