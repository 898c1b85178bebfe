import ast
import re
from pathlib import Path

import pytest
import tensorflow as tf

from loop_bench.hostsync import tensorflow_private as private

FOLDER = Path(private.__file__).parent
OTHERS = sorted(path for path in FOLDER.rglob("*.py") if path != Path(private.__file__))


def private_names(tree):
    """Private modules of TensorFlow that a file imports, and private attributes of other objects that it uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tensorflow"):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("tensorflow."))
        elif isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr) and ast.unparse(node.value) != "self":
            yield node.attr


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_other_file_uses_private_names_of_tensorflow(path):
    found = set(private_names(ast.parse(path.read_text(encoding="utf-8"))))
    assert found <= {"_getframe"}  # Python's


@pytest.mark.parametrize(
    "place", [private.NUMPY, private.COPY, private.DLPACK, private.LOADER, *private.SESSION_RUNS], ids=lambda p: p.name
)
def test_a_place_holds_a_function(place):
    assert callable(place.get())


def test_the_type_is_that_of_eager_tensors():
    assert type(tf.constant(0)) is private.EagerTensor


def test_shapes_are_plain_numbers():
    assert private.shape_of(tf.zeros([2, 3])) == (2, 3)
    assert private.shape_of(tf.constant(0)) == ()


def test_functions_are_named_from_the_outside_in():
    inner, outer = [], []

    @tf.function(autograph=False)
    def step(x):
        outer.append(tf.compat.v1.get_default_graph())

        def body(y):
            inner.append(tf.compat.v1.get_default_graph())
            return (y + 1,)

        return tf.while_loop(lambda y: y[0] < 9.0, body, [x])

    (loop,) = [op for op in step.get_concrete_function(tf.ones([1])).graph.get_operations() if "While" in op.type]
    assert private.function_of(outer[0]) == "step"
    assert private.function_of(inner[0]).startswith("step/while_body")
    (body,) = private.graphs_in(loop, "body")
    assert body.name.startswith("while_body")
    assert len(private.graphs_in(loop, "cond", "body")) == 2
    assert private.function_of(tf.Graph()) == ""


def test_a_generated_file_is_known_by_its_name_and_leads_back_to_the_source():
    files = []

    @tf.function
    def step(x):
        if x > 0:
            files.append(caller())
        return x

    def caller():
        import sys

        frame = sys._getframe(1)
        while not private.is_generated(frame.f_code.co_filename):
            frame = frame.f_back
        return frame.f_code.co_filename

    step(tf.constant(1.0))
    assert not private.is_generated(__file__)
    assert {file for file, *_ in private.generated_lines(files[0]).values()} == {__file__}
    assert private.generated_lines("no such file") == {}


def test_the_profiler_that_runs_is_known(tmp_path):
    assert private.running_profiler() is None
    tf.profiler.experimental.start(str(tmp_path))
    try:
        assert private.running_profiler() is not None
    finally:
        tf.profiler.experimental.stop(save=False)
    assert not private.empty_trace().planes


def test_a_traced_function_is_known_as_it_ends():
    found = []

    def tell(concrete):
        found.append(private.traced_function(concrete, 8))

    def plain(x, n=1):
        return x * n

    private.TRACED.get().append(tell)
    try:
        function = tf.function(plain)
        function(tf.ones([2]))
        function(tf.ones([3]), n=2)
        tf.data.Dataset.range(2).map(lambda x: x + 1)
    finally:
        private.TRACED.get().remove(tell)
    first, second, pipeline = found
    assert first.code is second.code is plain.__code__
    assert first.wrapper is second.wrapper is not pipeline.wrapper
    assert (first.earlier, len(second.earlier), second.earlier[0]) == ((), 1, first.arguments)
    assert second.arguments["n"].value == 2
    assert [each.in_pipeline for each in found] == [False, False, True]
    assert not pipeline.earlier


def test_earlier_traces_are_limited_and_the_latest_come_first():
    counts = []

    def tell(concrete):
        counts.append([each["n"].value for each in private.traced_function(concrete, 2).earlier])

    private.TRACED.get().append(tell)
    try:
        function = tf.function(lambda n: tf.constant(n))
        for n in range(4):
            function(n)
    finally:
        private.TRACED.get().remove(tell)
    assert counts == [[], [0], [1, 0], [2, 1]]


def test_seconds_of_tracing_only_grow():
    before = private.seconds_tracing()
    tf.function(lambda x: x + 1)(tf.constant(1.0))
    assert private.seconds_tracing() > before


def test_graphs_that_are_there_are_counted():
    function = tf.function(lambda x: x + 1)
    before = private.graphs_before()
    kept = function.get_concrete_function(tf.constant(1.0))
    assert private.graphs_before() > before
    assert kept is not None
