import tensorflow as tf

from loop_bench import hostsync
from loop_bench.hostsync import graphs

x = tf.constant([1.0, 2.0])


def ops_of(function, *arguments):
    with hostsync.record() as log:
        tf.function(function)(*arguments)
    return log.host_ops


def test_an_op_in_a_branch_belongs_to_the_traced_function():
    def inner(y):
        if y[0] > 0:
            tf.print("positive", output_stream="file:///dev/null")
        return y

    found = {op.kind: op for op in ops_of(inner, x)}
    assert found["control flow"].function == "inner"
    assert found["print"].function == "inner"
    assert found["print"].name.startswith("cond/")
    # AutoGraph has run a copy of it from another file.
    first = inner.__code__.co_firstlineno
    assert (found["control flow"].file, found["control flow"].line) == (__file__, first + 1)
    assert (found["print"].file, found["print"].line) == (__file__, first + 2)
    assert found["print"].op == "PrintV2"


def test_a_function_inside_another_has_both_names():
    @tf.function
    def inner(y):
        return tf.py_function(lambda z: z, [y], tf.float32)

    def outer(y):
        return inner(y)

    assert [op.function for op in ops_of(outer, x)] == ["outer/inner"]


def test_a_function_that_is_traced_again_has_the_same_ops_again():
    def step(y, n):
        if y[0] > n:
            tf.print(y, output_stream="file:///dev/null")
        return y

    with hostsync.record() as log:
        function = tf.function(step)
        for n in (1, 2, 3):
            function(x, n)
    assert len(log.host_ops) == 3 * len(set(log.host_ops)) > 3


def test_ops_in_all_kinds_of_control_flow_are_found():
    def host(y):
        return tf.ensure_shape(tf.numpy_function(lambda z: z, [y], tf.float32), [2])

    def step(y):
        y = tf.switch_case(tf.cast(y[0], tf.int32), [lambda: host(y), lambda: -y])
        (y,) = tf.while_loop(lambda z: z[0] < 9.0, lambda z: (host(z) + 1,), [y])
        return tf.cond(y[0] > 0, lambda: y, lambda: host(y))

    found = [op for op in ops_of(tf.autograph.experimental.do_not_convert(step), x) if op.kind == "numpy_function"]
    assert len({op.line for op in found}) == 1
    assert len({op.name.partition("/")[0] for op in found}) == len(found) == 3


def test_a_loop_over_an_int32_counter_needs_no_device():
    def count(y):
        for _ in tf.range(3):
            y = y + 1
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), [tf.constant(0), y])

    assert ops_of(count, x) == []


def test_a_loop_whose_counter_comes_from_the_device_does():
    def carried(y):
        return tf.while_loop(
            lambda n, y: n < 100, lambda n, y: (tf.cast(tf.reduce_sum(y), tf.int32), y * 2), [tf.constant(0), y]
        )

    def bounded(y):
        limit = tf.cast(y[0], tf.int32)
        return tf.while_loop(lambda i, n, y: i < n, lambda i, n, y: (i + 1, n, y), [tf.constant(0), limit, y])

    for loop in (carried, bounded):
        assert [op.op for op in ops_of(tf.autograph.experimental.do_not_convert(loop), x)] == ["StatelessWhile"]


def test_a_random_number_is_assumed_to_be_on_the_device():
    def branch(y):
        return tf.cond(tf.random.uniform([], 0, 2, tf.int32) > 0, lambda: y, lambda: -y)

    assert [op.op for op in ops_of(branch, x)] == ["StatelessIf"]


def test_sizes_are_known_without_the_values():
    for size in (lambda y: tf.shape(y)[0], tf.size):
        function = tf.function(
            lambda y, size=size: tf.cond(size(y) > 3, lambda: y, lambda: -y),
            input_signature=[tf.TensorSpec([None])],
        )
        with hostsync.record() as log:
            function(x)
        assert log.host_ops == []


def test_whether_there_is_more_data_and_a_variable_is_known():
    variable = []

    def sums():
        if not variable:
            variable.append(tf.Variable(1.0))  # makes TensorFlow ask whether it is there
        total = variable[0] * 0.0
        for value in tf.data.Dataset.from_tensor_slices([1.0, 2.0]):
            total += value
        return total

    found = ops_of(sums)
    assert [op for op in found if op.kind == "control flow"] == []


def test_an_op_that_is_placed_on_the_cpu_is_found_unless_it_is_a_variables():
    variable = tf.Variable(1.0)

    def step(y):
        variable.assign_add(1.0)
        variable.assign(y[0])
        with tf.device("CPU:0"):
            return tf.negative(y)

    assert [(op.kind, op.op) for op in ops_of(step, x)] == [("placed on the CPU", "Neg")]


def test_a_first_step_of_keras_has_no_host_ops():
    import keras

    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    with hostsync.record() as log:
        model.fit(tf.zeros([4, 2]), tf.zeros([4, 1]), batch_size=2, verbose=0)
    assert log.host_ops == []


def test_a_loop_that_cannot_be_examined_is_listed_without_an_error(monkeypatch):
    def count(y):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), [tf.constant(0), y])

    monkeypatch.setattr(tf.Graph, "_get_function", lambda self, name: None)
    assert [op.kind for op in ops_of(count, x)] == ["control flow"]


def test_keras_scratch_graphs_are_not_run_and_not_listed():
    import keras

    with hostsync.record() as log:
        inputs = keras.Input([4])
        keras.ops.cond(keras.ops.sum(inputs) > 0, lambda: inputs, lambda: -inputs)
    assert log.host_ops == []


def test_a_loop_until_a_value_is_reached_does():
    def grow(y):
        while tf.reduce_sum(y) < 100.0:
            y = y * 2
        return y

    assert [op.op for op in ops_of(grow, x)] == ["StatelessWhile"]


def test_a_branch_on_a_number_from_the_host_needs_no_device():
    def branch(y, step):
        return tf.cond(step > 1, lambda: y, lambda: -y)

    assert ops_of(branch, x, tf.constant(2)) == []
    assert [op.op for op in ops_of(branch, x, tf.constant(2.0))] == ["StatelessIf"]


def test_an_int32_that_was_computed_from_device_values_does():
    def branch(y):
        return tf.cond(tf.cast(y[0], tf.int32) > 1, lambda: y, lambda: -y)

    assert [op.op for op in ops_of(branch, x)] == ["StatelessIf"]


def test_only_ops_traced_during_the_recording_are_found():
    function = tf.function(lambda y: tf.where(y > 1))
    function(x)
    with hostsync.record() as log:
        function(x)
    assert log.host_ops == []


def test_functions_of_an_input_pipeline_are_found_too():
    with hostsync.record() as log:
        dataset = tf.data.Dataset.from_tensor_slices(x)
        dataset.map(lambda y: tf.numpy_function(lambda v: v, [y], tf.float32))
    assert [op.kind for op in log.host_ops] == ["numpy_function"]
    assert "Dataset" in log.host_ops[0].function


def test_every_op_that_is_named_exists():
    existing = {name for name in dir(tf.raw_ops) if not name.startswith("_")}
    # Of TensorFlow 1, or made by TensorFlow itself, and not offered in raw_ops.
    assert graphs.KINDS.keys() - existing <= {"PyFuncStateless"}
