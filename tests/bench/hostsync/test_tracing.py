import contextlib
import enum
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.hostsync import recorder
from loop_bench.hostsync.tensorflow_private import LOADER, TRACED
from loop_bench.hostsync.tracing import by_function, watch_traces

x = tf.constant([1.0, 2.0])


class Mode(enum.Enum):
    TRAIN = 1
    TEST = 2


def traces_of(*calls, **options):
    """Traces of one function called with each of these arguments in turn."""

    def step(a, b=None):
        return tf.zeros([])

    function = tf.function(step, **options)
    with hostsync.record() as log:
        for arguments in calls:
            function(*arguments)
    return log.traces


def changes(*calls, **options):
    return [
        [(each.kind, each.argument, each.before, each.after) for each in trace.changes]
        for trace in traces_of(*calls, **options)
    ]


def test_a_function_that_is_traced_once_is_no_retrace():
    (trace,) = traces_of((x,), (x + 1,))
    assert (trace.function, trace.changes, trace.again, trace.in_pipeline) == ("step", (), False, False)
    (site,) = by_function([trace])
    assert (site.traces, site.again, site.why) == (1, 0, ())


@pytest.mark.parametrize(
    ("first", "second", "change"),
    [
        ((x, 1), (x, 2), ("number", "b", "1", "2")),
        ((x, "a"), (x, "b"), ("value", "b", "'a'", "'b'")),
        ((x,), (tf.ones([3]),), ("shape", "a", "(2,)", "(3,)")),
        ((x,), (tf.cast(x, tf.float64),), ("dtype", "a", "float32", "float64")),
        ((x,), (1,), ("type", "a", "float32 tensor", "1")),
        ((x,), ((x,),), ("type", "a", "float32 tensor", "tuple")),
        (((x, 1),), ((x, 2),), ("number", "a[1]", "1", "2")),
        (([x, 1],), ([x, 2],), ("number", "a[1]", "1", "2")),
        (({"k": 1},), ({"k": 2},), ("number", "a['k']", "1", "2")),
        ((object(),), (object(),), ("object", "a", "", "")),
        ((True,), (False,), ("value", "a", "True", "False")),
        ((Mode.TRAIN,), (Mode.TEST,), ("object", "a", "", "")),
        ((None,), (1,), ("value", "a", "None", "1")),
        (([x],), ([x, x],), ("length", "a", "1", "2")),
        (({"k": x},), ({"k": x, "l": x},), ("length", "a", "1", "2")),
    ],
)
def test_what_differs_is_named(first, second, change):
    assert changes(first, second) == [[], [change]]


def test_a_trace_is_compared_with_the_most_similar_earlier_one():
    assert changes((x, 1), (tf.ones([3]), 1), (x, 2))[-1] == [("number", "b", "1", "2")]
    both = changes((x, 1), (tf.ones([3]), 2))[-1]
    assert [kind for kind, *_ in both] == ["shape", "number"]


def test_relaxed_shapes_are_shown_as_they_were_traced():
    found = changes((tf.ones([1]),), (tf.ones([2]),), (tf.ones([3]),), reduce_retracing=True)
    assert found == [[], [("shape", "a", "(1,)", "(None,)")]]


def test_recreated_functions_are_found_by_their_line():
    with hostsync.record() as log:
        for _ in range(3):
            tf.function(lambda a: a + 1)(x)
    assert [trace.again for trace in log.traces] == [False, True, True]
    (site,) = by_function(log.traces)
    assert (site.traces, site.again, site.kinds) == (3, 2, ("new function",))
    assert site.why == ("a new function object each time",)
    assert "tf.function(lambda" in site.source


def test_functions_that_live_side_by_side_are_no_retraces():
    class Layer(tf.Module):
        @tf.function
        def __call__(self, a):
            return a + 1

    layers = [Layer() for _ in range(3)]
    with hostsync.record() as log:
        for layer in layers:
            layer(x)
    assert [trace.again for trace in log.traces] == [False, False, False]


def test_a_method_of_a_new_object_each_time_is_made_anew():
    class Model:
        @tf.function
        def step(self, a):
            return a + 1

    with hostsync.record() as log:
        for _ in range(3):
            Model().step(x)
    assert [trace.again for trace in log.traces] == [False, True, True]


def test_the_training_and_the_validation_of_keras_are_two():
    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.ones([4, 2]), np.ones([4, 1])
    with hostsync.record() as log:
        model.fit(*data, validation_data=data, verbose=0)
    assert sum(site.again for site in by_function(log.traces)) == 0


def test_the_first_of_a_log_is_no_retrace_whoever_has_traced_before():
    with hostsync.record() as outer:
        tf.function(lambda a: a + 1)(x)
        with hostsync.record() as inner:
            for _ in range(2):
                tf.function(lambda a: a + 2)(x)
        for _ in range(2):
            with hostsync.record() as last:
                tf.function(lambda a: a + 3)(x)
    assert [sum(site.again for site in by_function(log.traces)) for log in (outer, inner, last)] == [2, 1, 0]


def test_a_function_that_was_first_traced_to_learn_shapes_is_not_lost():
    @tf.function
    def helper(a):
        return tf.py_function(lambda b: b, [a], tf.float32)

    class Layer(keras.layers.Layer):
        def call(self, a):
            return tf.ensure_shape(helper(a), [None, 2])

    with hostsync.record() as log:
        inputs = keras.Input([2])
        keras.Model(inputs, Layer()(inputs))
    assert [trace.function for trace in log.traces] == ["helper"]
    assert {op.kind for op in log.host_ops} == {"py_function"}


def test_an_object_that_can_be_called_has_its_own_line():
    class Step:
        def __call__(self, a):
            return a + 1

    with hostsync.record() as log:
        function = tf.function(Step())
        function(x)
        function(tf.ones([3]))
    (site,) = by_function(log.traces)
    assert (site.again, site.source) == (1, "def __call__(self, a):")


def with_a_variable():
    """A function that creates its variable in its first call."""
    made = []

    @tf.function
    def step(a):
        if not made:
            made.append(tf.Variable(1.0))
        return a * made[0]

    return step


def test_making_its_variables_is_no_retrace():
    step = with_a_variable()
    with hostsync.record() as log:
        step(x)
        step(tf.ones([3]))
        tf.function(lambda: step(tf.ones([4])))()
    assert not [trace.function for trace in log.traces if "initialize" in trace.function]
    del log.traces[3:]
    assert [trace.again for trace in log.traces] == [False, False, True]
    assert [change.kind for trace in log.traces for change in trace.changes] == ["variables", "shape"]


def test_another_context_is_a_retrace():
    @tf.function
    def step(a):
        return a + 1

    with hostsync.record() as log:
        step(x)
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            step(x)
    assert [change.kind for change in log.traces[1].changes] == ["context"]


def test_another_context_of_a_function_with_variables_is_one():
    step = with_a_variable()
    with hostsync.record() as log:
        step(x)
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            step(x)
    kinds = [[change.kind for change in trace.changes] for trace in log.traces if trace.function == "step"]
    assert kinds == [[], ["variables"], ["context"]]


def test_what_was_traced_before_the_recording_counts():
    function = tf.function(lambda a, n: a * n)
    function(x, 1)
    with hostsync.record() as log:
        function(x, 2)
    assert [trace.again for trace in log.traces] == [True]


def test_functions_of_a_pipeline_stand_where_it_is_built():
    with hostsync.record() as log:
        dataset = tf.data.Dataset.range(3)
        dataset = dataset.map(lambda n: n + 1)
    (trace,) = log.traces
    assert trace.in_pipeline
    assert trace.file == __file__
    assert trace.line == trace.caller[1]


def test_a_method_has_its_own_line_and_the_callers():
    class Model:
        @tf.function
        def step(self, a, n):
            return a * n

    model = Model()
    with hostsync.record() as log:
        model.step(x, 1)
        model.step(x, 2)
    (site,) = by_function(log.traces)
    assert site.source == "@tf.function"
    assert (site.again, site.why) == (1, ("Python value of n: 1 → 2",))
    assert [file for file, _ in site.callers] == [__file__, __file__]


def test_a_recursion_is_one_function():
    @tf.function
    def down(n):
        return down(n - 1) if n else tf.constant(0)

    with hostsync.record() as log:
        down(3)
    (site,) = by_function(log.traces)
    assert (site.function, site.traces, site.again) == ("down", 4, 3)
    assert log.traces[0].function == "down/down/down/down"


def test_keras_own_functions_are_included():
    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
    with hostsync.record() as log:
        for _ in range(3):
            model.compile("sgd", "mse")
            model.fit(np.ones([4, 2]), np.ones([4, 1]), verbose=0)
    sites = {site.function: site for site in by_function(log.traces)}
    step = sites["multi_step_on_iterator"]
    assert "/keras/" in step.file
    assert (step.traces, step.kinds) == (3, ("new function",))
    assert {site.again for site in sites.values() if site.in_pipeline} == {0}  # as often as `fit` builds its pipeline


def test_many_values_are_cut_short():
    (site,) = by_function(traces_of(*((x, n) for n in range(9))))
    assert site.why == ("Python value of b: 0 → 1 → 2 → 3 → …",)
    (site,) = by_function(traces_of((x, "a" * 99), (x, "b" * 99)))
    assert max(map(len, site.why[0].split(" → "))) < 65


def test_changes_of_several_kinds_are_counted():
    (site,) = by_function(traces_of((x, 1), (x, 2), (x, 3), (tf.ones([3]), 3)))
    assert site.why == ("Python value of b: 1 → 2 → 3 (2 times)", "shape of a: (2,) → (3,)")


def test_those_with_most_retraces_come_first():
    few, many = traces_of((x, 1), (x, 2)), traces_of(*((x, n) for n in range(4)))
    renamed = [hostsync.Trace("few", each.file, each.line, each.caller, each.changes, False) for each in few]
    assert [site.function for site in by_function(itertools.chain(renamed, many))] == ["step", "few"]


def test_traces_alone_can_be_watched():
    seen = []
    with watch_traces(seen.append):
        tf.function(lambda a: a + 1)(x)
        assert not recorder._hub._observers  # a read costs what it costs without
    tf.function(lambda a: a + 1)(x)
    assert [trace.function for trace in seen] == ["<lambda>"]


def test_an_error_leaves_nothing_behind():
    before = list(TRACED.get()), LOADER.get()
    with pytest.raises(KeyError), watch_traces(lambda trace: None):
        raise KeyError
    assert (list(TRACED.get()), LOADER.get()) == before


def test_watching_may_end_in_any_order():
    before = list(TRACED.get()), LOADER.get()
    with contextlib.ExitStack() as first:
        first.enter_context(watch_traces(lambda trace: None))
        with contextlib.ExitStack() as second:
            second.enter_context(hostsync.record())
            first.close()
            assert LOADER.get() != before[1]
    assert (list(TRACED.get()), LOADER.get()) == before
